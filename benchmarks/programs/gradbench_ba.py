"""GradBench's ba: bundle adjustment. The entries of a sparse Jacobian: 2 x 15 an observation, and one a weight.

A camera is 11 numbers: rotation (axis times angle), centre, focal length, principal point, distortion. With Y = R(r) (X - C),
a = Y1/Y3, b = Y2/Y3, s = a^2 + b^2: error = w (f (1 + kappa1 s + kappa2 s^2) (a, b) + u0 - feature). As there, cameras, points and
observations are copies of one, which nobody exploits. Results: (observations, 2, 11 + 3 + 1) and -2 w: the values of
GradBench's CSR matrix in its order.
"""

import numpy as np

from benchmarks.program import Program


def errors(camera, point, w, feature):
    """Two arrays of errors, one entry an observation; camera (p, 11), point (p, 3), w (p,), feature (p, 2)."""
    r = camera[:, :3]
    y = point - camera[:, 3:6]
    square = np.sum(r * r, axis=1)
    turned = square > 0.0
    theta = np.sqrt(np.where(turned, square, 1.0))
    axis = r / theta[:, None]
    cos, sin = np.cos(theta), np.sin(theta)
    dot = np.sum(axis * y, axis=1) * (1.0 - cos)

    def rotate(i):
        j, k = (i + 1) % 3, (i + 2) % 3
        far = y[:, i] * cos + (axis[:, j] * y[:, k] - axis[:, k] * y[:, j]) * sin + axis[:, i] * dot
        near = y[:, i] + r[:, j] * y[:, k] - r[:, k] * y[:, j]
        return np.where(turned, far, near)

    y3 = rotate(2)
    a, b = rotate(0) / y3, rotate(1) / y3
    s = a * a + b * b
    scale = camera[:, 6] * (1.0 + camera[:, 9] * s + camera[:, 10] * s * s)
    return w * (scale * a + camera[:, 7] - feature[:, 0]), w * (scale * b + camera[:, 8] - feature[:, 1])


def make(size):
    """Cameras, points, observations: each a copy of one."""
    n, m, p = size
    rng = np.random.default_rng(40)
    camera = np.array([0.1, -0.2, 0.15, 0.3, -0.1, -5.0, 500.0, 3.0, -2.0, -0.02, 0.001])
    index = np.arange(p)
    return (
        np.tile(camera, (n, 1)),
        np.tile(rng.normal(size=3), (m, 1)),
        np.full(p, 0.8),
        np.tile(rng.normal(size=2) * 50, (p, 1)),
        index % n,
        index % m,
    )


def reference(cameras, points, w, features, which_camera, which_point):
    """By complex steps in each of the 15 inputs, all observations at once."""
    inputs = np.concatenate([cameras[which_camera], points[which_point], w[:, None]], axis=1)
    out = np.empty((len(w), 2, 15))
    for k in range(15):
        z = inputs.astype(complex)
        z[:, k] += 1e-30j
        for row, e in enumerate(errors(z[:, :11], z[:, 11:14], z[:, 14], features)):
            out[:, row, k] = e.imag * 1e30
    return out, -2 * w


def for_adjoint(ad):
    """Two ways back, one for each error: an observation's errors depend on its own inputs alone."""

    def derivative(cameras, points, w, features, which_camera, which_point):
        inputs = cameras[which_camera], points[which_point], w
        _, pull = ad.vjp(lambda c, x, w: errors(c, x, w, features), *inputs)
        one, none = np.ones(w.shape), np.zeros(w.shape)
        rows = []
        for seed in ((one, none), (none, one)):
            c, x, gw = pull(seed)
            rows.append(np.concatenate([c, x, gw[:, None]], axis=1))
        return np.stack(rows, axis=1), -2.0 * w

    return derivative


def _one(stack, xp_errors):
    return lambda c, x, w, f: stack([e[0] for e in xp_errors(c[None], x[None], w[None], f[None])])


def for_jax(jax):
    from benchmarks.program import rebind

    one = _one(jax.numpy.stack, rebind(errors, np=jax.numpy))
    blocks = jax.vmap(jax.jacrev(one, argnums=(0, 1, 2)))

    def derivative(cameras, points, w, features, which_camera, which_point):
        c, x, gw = blocks(cameras[which_camera], points[which_point], w, features)
        return jax.numpy.concatenate([c, x, gw[:, :, None]], axis=2), -2.0 * w

    return derivative


def for_torch(torch):
    from benchmarks.contenders import torch_as_numpy
    from benchmarks.program import rebind

    one = _one(torch.stack, rebind(errors, np=torch_as_numpy()))
    blocks = torch.func.vmap(torch.func.jacrev(one, argnums=(0, 1, 2)))

    def derivative(cameras, points, w, features, which_camera, which_point):
        c, x, gw = blocks(cameras[which_camera], points[which_point], w, features)
        return torch.cat([c, x, gw[:, :, None]], dim=2), -2.0 * w

    return derivative


def for_autograd(autograd):
    import autograd.numpy as anp

    from benchmarks.program import rebind

    own = rebind(errors, np=anp)

    def derivative(cameras, points, w, features, which_camera, which_point):
        inputs = cameras[which_camera], points[which_point], w
        rows = []
        for k in range(2):
            parts = [
                autograd.elementwise_grad(lambda *xs, k=k: own(*xs, features)[k], argnum)(*inputs)
                for argnum in range(3)
            ]
            rows.append(np.concatenate([parts[0], parts[1], parts[2][:, None]], axis=1))
        return np.stack(rows, axis=1), -2.0 * w

    return derivative


PROGRAMS = [
    Program(
        "gradbench ba",
        errors,
        make,
        sizes=((49, 7776, 31843), (810, 88814, 393775), (356, 226730, 1255268)),
        quick=((49, 7776, 31843),),
        reference=reference,
        derive={"adjoint": for_adjoint, "jax": for_jax, "torch": for_torch, "autograd": for_autograd},
        native="gradbench_ba",
        dims=list,
    )
]

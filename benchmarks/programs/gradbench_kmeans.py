"""GradBench's kmeans: f(C) = sum_i min_j |C_j - P_i|^2; result: the gradient over the diagonal of the Hessian.

The Hessian is diagonal, so that its product with ones gives the diagonal: one derivative forward over one in reverse. In closed form
C_j minus the mean of the points assigned to j. Sizes (k, n, d), data as GradBench's.
"""

import numpy as np

from benchmarks.program import Program


def f(centroids, points):
    squares = np.sum(points * points, axis=1)[:, None] + np.sum(centroids * centroids, axis=1)
    return np.sum(np.min(squares - 2.0 * (points @ centroids.T), axis=1))


def make(size):
    k, n, d = size
    points = np.random.RandomState(31337).rand(n, d)
    return points[-k:].copy(), points


def reference(centroids, points):
    squares = np.sum(centroids * centroids, axis=1) - 2.0 * (points @ centroids.T)
    nearest = np.argmin(squares, axis=1)
    sums = np.zeros_like(centroids)
    np.add.at(sums, nearest, points)
    return centroids - sums / np.bincount(nearest, minlength=len(centroids))[:, None]


def for_adjoint(ad):
    def direction(centroids, points):
        gradient, diagonal = ad.jvp(lambda c: ad.grad(f)(c, points), (centroids,), (np.ones(centroids.shape),))
        return gradient / diagonal

    return direction


def for_jax(jax):
    from benchmarks.program import rebind

    own = rebind(f, np=jax.numpy)

    def direction(centroids, points):
        ones = jax.numpy.ones_like(centroids)
        gradient, diagonal = jax.jvp(lambda c: jax.grad(own)(c, points), (centroids,), (ones,))
        return gradient / diagonal

    return direction


def for_torch(torch):
    from benchmarks.contenders import torch_as_numpy
    from benchmarks.program import rebind

    own = rebind(f, np=torch_as_numpy())

    def direction(centroids, points):
        ones = torch.ones_like(centroids)
        gradient, diagonal = torch.func.jvp(lambda c: torch.func.grad(own)(c, points), (centroids,), (ones,))
        return gradient / diagonal

    return direction


def for_autograd(autograd):
    import autograd.numpy as anp

    from benchmarks.program import rebind

    own = rebind(f, np=anp)
    gradient, product = autograd.grad(own), autograd.hessian_vector_product(own)
    return lambda c, points: gradient(c, points) / product(c, points, np.ones_like(c))


PROGRAMS = [
    Program(
        "gradbench kmeans",
        f,
        make,
        sizes=((10, 1000, 8), (100, 10000, 8), (1000, 10000, 16)),
        quick=((10, 1000, 8),),
        reference=reference,
        derive={"adjoint": for_adjoint, "jax": for_jax, "torch": for_torch, "autograd": for_autograd},
        native="gradbench_kmeans",
        dims=list,
    )
]

"""What a transform hands out belongs to the caller: writing into it changes no other result and no later pull."""

import numpy as np
import pytest

import adjoint as ad

X = np.array([1.0, 2.0])


@pytest.mark.parametrize("n", [3, 20000])  # arrays that the guard copies, and those it locks
def test_a_value_is_not_what_the_pull_reads(n):
    y, pull = ad.vjp(np.exp, np.zeros(n))
    y[:] = 99.0
    assert (pull(np.ones(n))[0] == 1.0).all()
    y, pull, aux = ad.vjp(lambda x: (np.sum(np.exp(x)), np.exp(x)), np.zeros(n), has_aux=True)
    aux[:] = 99.0
    assert (pull(1.0)[0] == 1.0).all()
    y, push = ad.linearize(np.exp, np.zeros(n))
    y[:] = 99.0
    assert (push(np.ones(n)) == 1.0).all()


def distinct(*arrays):
    return all(
        a.flags.writeable and not any(np.shares_memory(a, b) for b in arrays[i + 1 :]) for i, a in enumerate(arrays)
    )


def test_no_two_results_share_memory():
    x, t = X.copy(), np.ones(2)
    assert distinct(*ad.jvp(lambda a: a, (x,), (t,)), x, t)
    assert distinct(*ad.vjp(lambda a: (a, a), x)[0], x)
    assert distinct(*ad.vmap(lambda a: (a, a[:1]))(x.reshape(2, 1)), x)
    assert distinct(*ad.jacobian(np.add, argnums=(0, 1))(x, x))
    assert distinct(*ad.jacfwd(lambda a: (a, a))(x))
    push = ad.linearize(lambda a: (a, a), x)[1]
    assert distinct(*push(t), t)

"""Functions of the user's that SciPy calls, from C: what they raise is what the user sees, and so are our errors about tensors."""

import warnings

import numpy as np
import pytest
from scipy import integrate, optimize

import adjoint as ad
from adjoint.core import errors
from tests.messages.complains import complains

CALLERS = {  # a function of SciPy with a callback f of one number -> a number
    "optimize.brentq": lambda f: optimize.brentq(f, 0.0, 2.0),
    "optimize.bisect": lambda f: optimize.bisect(f, 0.0, 2.0),
    "optimize.root_scalar": lambda f: optimize.root_scalar(f, bracket=(0.0, 2.0)).root,
    "optimize.fsolve": lambda f: optimize.fsolve(f, 1.0)[0],
    "optimize.root": lambda f: optimize.root(f, np.array([1.0])).x[0],
    "optimize.least_squares": lambda f: optimize.least_squares(f, np.array([1.0])).x[0],
    "optimize.minimize": lambda f: optimize.minimize(lambda x: f(x[0]) ** 2, np.array([1.0])).x[0],
    "optimize.minimize_scalar": lambda f: optimize.minimize_scalar(lambda x: f(x) ** 2).x,
    "optimize.curve_fit": lambda f: optimize.curve_fit(lambda x, a: f(a) * x, np.arange(3.0), np.arange(3.0))[0][0],
    "integrate.quad": lambda f: integrate.quad(f, 0.0, 2.0)[0],
    "integrate.solve_ivp": lambda f: integrate.solve_ivp(lambda t, y: f(y[0]) * y, (0.0, 1.0), [1.0]).y[0, -1],
    "integrate.odeint": lambda f: integrate.odeint(lambda y, t: f(y[0]) * y, [1.0], [0.0, 1.0])[-1, 0],
    "optimize.differential_evolution": lambda f: optimize.differential_evolution(
        lambda x: f(x[0]) ** 2, [(0.0, 2.0)], maxiter=2
    ).x[0],
}
MODES = {
    "grad": lambda f: ad.grad(f)(2.0),
    "jit": lambda f: ad.jit(f)(2.0),
    "jit of grad": lambda f: ad.jit(ad.grad(f))(2.0),
    "vmap": lambda f: ad.vmap(f)(np.array([2.0, 3.0])),
}
every = pytest.mark.parametrize("name", CALLERS)
EAGER = {name: MODES[name] for name in ("grad", "vmap")}  # compiled, SciPy's functions are ours where there is one
in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


@pytest.mark.parametrize("mode", EAGER.values(), ids=EAGER)
@every
def test_a_callback_that_gives_a_tensor(name, mode):
    call = CALLERS[name]
    with complains((errors.LeakError, errors.ConcreteError), name, "plain numbers", "adjoint.scipy"):
        mode(lambda a: call(lambda x: x * x - a))


class Mine(Exception):
    """An error of the user's."""


def fails(*args):
    raise Mine("as I say")


@in_every_mode
@every
def test_an_error_in_a_callback(name, mode):
    old = lambda f: (
        integrate.ode(lambda t, y: f(y)).set_integrator("dopri5").set_initial_value([1.0], 0.0).integrate(1.0)
    )
    call = CALLERS.get(name, old)
    with pytest.raises(Mine, match="as I say") as told, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mode(lambda a: call(fails) * a)
    assert told.traceback[-1].path.name == "test_callbacks.py"


def test_an_error_of_the_users_that_follows_one_of_ours():
    def f(x):
        try:
            return float(x)
        except errors.LeakError as error:
            raise Mine("as I say") from error

    with pytest.raises(Mine):
        ad.grad(f)(1.0)

import numpy as np
import pytest

import relumodel as rm

ACTIVE = np.array([[True, False], [False, True]])


def test_masks():
    np.testing.assert_array_equal(rm.ReLU().mask(ACTIVE), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(rm.GatedReLU().mask(ACTIVE), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(rm.LeakyReLU(0.2).mask(ACTIVE), [[1, 0.2], [0.2, 1]])
    assert rm.ReLU().mask(ACTIVE).dtype == rm.LeakyReLU(0).mask(ACTIVE).dtype == np.int8


def test_which_activations_gate_themselves():
    assert [a.self_gated for a in (rm.ReLU(), rm.LeakyReLU(), rm.GatedReLU())] == [True, True, False]


@pytest.mark.parametrize("slope", [-0.1, 1, 1.5, float("nan")])
def test_slopes_out_of_range(slope):
    with pytest.raises(rm.InputError, match=r"slope must be a finite number >= 0 and < 1; got"):
        rm.LeakyReLU(slope)


@pytest.mark.parametrize("activation", [rm.ReLU, "relu", None, rm.Hinge()])
def test_two_layer_takes_an_activation_instance(activation):
    with pytest.raises(rm.InputTypeError, match=r"TwoLayer takes an activation instance such as rm.ReLU\(\)"):
        rm.TwoLayer(activation)


@pytest.mark.parametrize("bias", [1, 0, "yes", None])
def test_bias_is_true_or_false(bias):
    with pytest.raises(rm.InputTypeError, match="bias must be True or False; got"):
        rm.TwoLayer(rm.ReLU(), bias=bias)


def test_numpy_booleans_count():
    network = rm.TwoLayer(rm.ReLU(), bias=np.True_)
    assert network == rm.TwoLayer(rm.ReLU(), bias=True)
    assert network.bias is True

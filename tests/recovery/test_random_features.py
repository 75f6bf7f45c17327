import numpy as np
import pytest

import relumodel as rm


@pytest.mark.parametrize("penalty", [rm.WeightDecay(0.3), rm.PathNorm(0.3)])
def test_a_weight_becomes_a_balanced_neuron(penalty):
    """a = -4 on a feature u of norm 1: the neuron (2 u, -2), whose penalty is beta * 4."""
    model = rm.Model(rm.RandomFeatures(), rm.Squared(), penalty)
    program = model.compile([[3.0, 4.0]], [1.0], patterns=rm.GivenPatterns([[1]]))
    network = program.inverse.network(np.array([-4.0]))
    direction = network.hidden_weights[:, 0] / 2
    np.testing.assert_allclose(network.output_weights, [-2.0])
    assert np.linalg.norm(direction, ord=1 if isinstance(penalty, rm.PathNorm) else 2) == pytest.approx(1, rel=1e-14)
    np.testing.assert_allclose(network([[3.0, 4.0]]), program.term("loss").map.forward(np.array([-4.0])))
    assert penalty.of_network(network.hidden_weights, network.output_weights) == pytest.approx(1.2)


def test_zero_weights_are_no_neurons_and_noise_is_dropped():
    model = rm.Model(rm.RandomFeatures(bias=True), rm.Squared(), rm.WeightDecay(0.3))
    program = model.compile(np.eye(3), [1.0, 2.0, 3.0], patterns=rm.SamplePatterns(4))
    x = program.inverse.repair(program, np.array([0.5, 1e-11, 0.0, -1e-12]), room=1e-6)
    np.testing.assert_array_equal(x != 0, [True, False, False, False])
    assert program.inverse.network(x).n_neurons == 1
    assert program.inverse.network(0 * x).n_neurons == 0

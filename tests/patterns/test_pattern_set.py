import numpy as np
import pytest

import relumodel as rm
from relumodel.arrangement.witness import find_witnesses
from relumodel.patterns import PatternSet, PatternStrategy


def test_count_is_the_number_of_columns():
    assert PatternSet(np.ones((3, 2), dtype=bool), np.ones((2, 1)), complete=False, origin="").count == 2


def test_a_strategy_must_say_how_to_find_patterns():
    with pytest.raises(TypeError, match="PatternStrategy does not say how"):
        PatternStrategy().find(np.ones((1, 1)), False)


def test_witnesses_are_looked_for_once_and_only_when_asked(monkeypatch):
    from relumodel.patterns import pattern_set

    looked = []

    def counted(X, D, reduced):
        looked.append(D.shape[1])
        return find_witnesses(X, D, reduced)

    monkeypatch.setattr(pattern_set, "find_witnesses", counted)
    X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    D = np.array([[1, 0, 0], [0, 0, 0], [1, 0, 1]])
    found = rm.GivenPatterns(D).find(X, False)
    assert not looked
    assert np.isnan(found.known).all()
    assert (np.where(D[:, 0], 1, -1) * (X @ found.witness(0)) > 0).all()
    assert np.isnan(found.witness(2)).all()  # no vector is on the negative side of two and on the positive side of their sum
    assert looked == [1, 1]
    np.testing.assert_array_equal(found.witnesses, found.witnesses)
    np.testing.assert_array_equal(found.witnesses[0], found.witness(0))
    assert looked == [1, 1, 1]


def test_a_program_on_given_patterns_and_its_file_look_for_none(monkeypatch, tmp_path):
    from relumodel.patterns import pattern_set

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 4)), rng.standard_normal(40)
    model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(1e-2))
    patterns = X @ rng.standard_normal((4, 6)) >= 0
    with monkeypatch.context() as patched:
        patched.setattr(pattern_set, "find_witnesses", lambda *_: pytest.fail("looked for a witness"))
        program = model.compile(X, y, patterns=rm.GivenPatterns(patterns))
        solution = program.solve(tol=1e-8)
        program.write(tmp_path / "p.cbf")
        loaded = rm.load_program(tmp_path / "p.json")
    assert (solution.status, solution.violation) == ("optimal", 0)
    assert np.isfinite(loaded.inverse.found.witnesses).all()  # found when asked
    # a gated network's gates are its witnesses
    gated = rm.Model(rm.TwoLayer(rm.GatedReLU()), rm.Squared(), rm.WeightDecay(1e-2))
    assert np.isfinite(gated.compile(X, y, patterns=rm.GivenPatterns(patterns)).inverse.found.known).all()

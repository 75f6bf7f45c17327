import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from scipy import sparse

import relumodel as rm
from data_strategies import matrices
from relumodel.data import read, read_features, read_targets, with_bias

X = np.array([[1.0, -2.0], [0.0, 3.0], [2.0, 2.0]])


def read_only(a):
    a = a.copy()
    a.setflags(write=False)
    return a


FORMS = {
    "list": np.ndarray.tolist,
    "tuple of arrays": lambda a: tuple(a),
    "int": lambda a: a.astype(int),
    "int8": lambda a: a.astype(np.int8),
    "float16": lambda a: a.astype(np.float16),
    "float32": lambda a: a.astype(np.float32),
    "big endian": lambda a: a.astype(">f8"),
    "longdouble": lambda a: a.astype(np.longdouble),
    "Fortran order": np.asfortranarray,
    "strided": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
    "read-only": read_only,
    "frame": pd.DataFrame,
    "frame of nullable numbers": lambda a: pd.DataFrame({"a": pd.array(a[:, 0], dtype="Int64"), "b": a[:, 1]}),
    "torch": lambda a: torch.tensor(a, requires_grad=True),
    "torch bfloat16": lambda a: torch.tensor(a, dtype=torch.bfloat16),
    "unmasked": np.ma.array,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_numbers_reads_the_same(form):
    given_form = FORMS[form](X)
    out, _ = read_features(given_form)
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, X)


@given(matrices(), matrices())
def test_reading_keeps_every_bit(a, b):
    np.testing.assert_array_equal(read_features(np.asfortranarray(a))[0], a)
    np.testing.assert_array_equal(read_features(a.astype(np.float32))[0], a.astype(np.float32))


def test_frames_keep_their_column_names():
    assert read_features(pd.DataFrame({"age": [1, 2], 7: [0.5, 1]}))[1] == ("age", "7")
    assert read_features(X)[1] is None


@pytest.mark.parametrize("y", [[1, 2, 3], np.array([[1], [2], [3]]), pd.Series([1, 2, 3]), pd.DataFrame({"y": [1, 2, 3]})])
def test_targets_come_as_vectors_or_one_column(y):
    np.testing.assert_array_equal(read_targets(y, 3, rm.Squared()), [1.0, 2.0, 3.0])


def test_what_was_read_does_not_change_with_the_callers_arrays():
    features, targets = X.copy(), np.array([1.0, 2.0, 3.0])
    data = read(features, targets, rm.Squared())
    features[:], targets[:] = 0, 0
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, [1, 2, 3])


NAN, INF = float("nan"), float("inf")

BAD_FEATURES = {
    "one axis": ([1.0, 2.0], r"two-dimensional.*got shape \(2,\). Use X.reshape\(-1, 1\)"),
    "three axes": (np.zeros((2, 2, 2)), r"two-dimensional.*got shape \(2, 2, 2\)\.$"),
    "a number": (3.0, r"two-dimensional.*got shape \(\)"),
    "no sample": (np.zeros((0, 2)), r"at least one sample and one feature; got shape \(0, 2\)"),
    "no feature": (np.zeros((2, 0)), r"at least one sample and one feature; got shape \(2, 0\)"),
    "NaN": ([[1, NAN], [NAN, 2]], r"X holds 2 NaN values, the first at \[0, 1\]; fill or drop them first"),
    "inf": ([[1, 2], [-INF, 2]], r"X holds 1 infinite values, the first at \[1, 0\]"),
    "both": ([[INF, NAN]], r"X holds 2 NaN and infinite values"),
    "frame": (pd.DataFrame({"age": [1.0, 2.0], "size": [3.0, NAN]}), r"X holds 1 NaN values, .* \(column 'size'\)"),
    "missing nullable": (pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1.0, 2.0]}), r"1 NaN .* \(column 'a'\)"),
    "missing object": ([[1.0, None]], r"X holds 1 NaN values, the first at \[0, 1\]; fill or drop them first"),
    "masked": (np.ma.array([[1.0, 2.0]], mask=[[False, True]]), "X holds masked values"),
    "ragged": ([[1, 2], [3]], "X must be a rectangular array of numbers"),
    "beyond float64": (np.array([["1e4000"]]).astype(np.longdouble), "X holds 1 infinite values"),
    "beyond 2^53": ([[2**53 + 1]], r"X holds integers beyond 2\^53"),
    "below -2^53": ([[-(2**53) - 1]], r"X holds integers beyond 2\^53"),
    "uint64": (np.array([[2**64 - 1]], dtype=np.uint64), r"X holds integers beyond 2\^53"),
}


@pytest.mark.parametrize("case", BAD_FEATURES)
def test_bad_features(case):
    values, message = BAD_FEATURES[case]
    with pytest.raises(rm.InputError, match=message):
        read_features(values)


WRONG_TYPES = {
    "None": (None, "X must be an array of numbers; got None"),
    "sparse": (sparse.eye_array(3, format="csr"), r"X is a sparse matrix; pass X.toarray\(\)"),
    "sparse tensor": (torch.eye(3).to_sparse(), r"X is a sparse tensor; pass X.to_dense\(\)"),
    "text": ("abc", "X must hold real numbers; got dtype <U3"),
    "mixed list": ([[1, "a"]], "X must hold real numbers; got dtype <U"),
    "text column": (pd.DataFrame({"age": [1.0, 2.0], "town": ["Ulm", "Bern"]}), r"X must hold .* \(columns town\). Encode categ"),
    "dates": (pd.DataFrame({"day": pd.to_datetime(["2020-01-01"])}), r"X must hold real numbers.*\(columns day\)"),
    "complex": ([[1j, 2]], "X must hold real numbers; got dtype complex128"),
    "dictionary": ({"a": 1}, "X must hold real numbers; got dtype object"),
    "nested arrays": (np.array([[np.array([1, 2]), 3]], dtype=object), "X must hold real numbers; got dtype object"),
}


@pytest.mark.parametrize("case", WRONG_TYPES)
def test_features_of_the_wrong_type(case):
    values, message = WRONG_TYPES[case]
    with pytest.raises(rm.InputTypeError, match=message):
        read_features(values)


def test_the_largest_whole_number_that_float64_holds_is_read():
    assert read_features([[2**53, -(2**53)]])[0].tolist() == [[2.0**53, -(2.0**53)]]


def test_width_is_that_of_training():
    with pytest.raises(rm.InputError, match=r"X must have 3 features, as in training .* got 2"):
        read_features(X, width=3)


BAD_TARGETS = {
    "three axes": (np.zeros((3, 2, 2)), rm.Squared(), r"one-dimensional, one target a sample, or two-dim.*; got shape \(3, 2, 2\)"),
    "no column": (np.zeros((3, 0)), rm.Squared(), r"or two-dimensional, one column an output; got shape \(3, 0\)"),
    "classes in columns": (np.eye(3), rm.MultiMargin(), r"y must be one-dimensional, one target a sample; got shape \(3, 3\)"),
    "one class in a column": ([[1, 1], [-1, 1], [1, 1]], rm.Hinge(), r"needs both classes; every label in y in column 1 is \+1"),
    "a number": (1.0, rm.Squared(), r"y must be one-dimensional"),
    "short": ([1, 2], rm.Squared(), "X has 3 samples and y has 2; they must agree"),
    "empty": ([], rm.Squared(), "X has 3 samples and y has 0"),
    "NaN": ([1, NAN, 2], rm.Squared(), r"y holds 1 NaN values, the first at \[1\]"),
    "missing": (pd.Series(pd.array([True, None, False], dtype="boolean")), rm.Squared(), "y holds 1 NaN values"),
    "inf": ([1, INF, 2], rm.Hinge(), "y holds 1 infinite values"),
    "0/1": ([0, 1, 1], rm.Hinge(), r"Hinge needs labels -1 and \+1; y holds 0\. For labels 0/1 pass 2 \* y - 1"),
    "booleans": ([True, False, True], rm.Logistic(), r"Logistic needs labels -1 and \+1; y holds 0\."),
    "many": ([2, 3, 4], rm.SquaredHinge(), r"y holds 2, 3, 4\. .* use rm.Squared, rm.Absolute or rm.Huber"),
    "one class": ([1, 1, 1], rm.Logistic(), r"Logistic needs both classes; every label in y is \+1"),
    "the other class": ([-1, -1, -1], rm.Hinge(), r"Hinge needs both classes; every label in y is -1"),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_bad_targets(case):
    values, loss, message = BAD_TARGETS[case]
    with pytest.raises(rm.InputError, match=message):
        read_targets(values, 3, loss)


def test_only_a_few_wrong_labels_are_listed():
    with pytest.raises(rm.InputError, match=r"y holds 2, 3, 4, 5, \.\.\.\. For"):
        read_targets(np.arange(2, 9), 7, rm.Hinge())


def test_targets_of_text():
    with pytest.raises(rm.InputTypeError, match="y must hold real numbers; got dtype <U3"):
        read_targets(["yes", "no"], 2, rm.Hinge())


def test_the_bias_is_a_last_column_of_ones():
    np.testing.assert_array_equal(with_bias(X, True), [[1, -2, 1], [0, 3, 1], [2, 2, 1]])
    plain = with_bias(np.asfortranarray(X), False)
    np.testing.assert_array_equal(plain, X)
    assert plain.flags.c_contiguous

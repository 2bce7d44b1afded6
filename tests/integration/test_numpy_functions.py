# SPDX-License-Identifier: MIT
"""numpy's own functions and ufuncs, called on arrays of tensord's: computed by the daemon.

Each line is run twice, with ndarrays and with arrays of tensord's, and must yield the same.
"""

import warnings

import numpy
import numpy as np
import pytest

import tensord
from tensord import _array_functions_linalg, _numpy_names

pytestmark = pytest.mark.plain

RANDOM = numpy.random.default_rng(5)
M = RANDOM.standard_normal((4, 4)).round(3)
VALUES = {
    "a": RANDOM.standard_normal((3, 4)).round(3),
    "b": RANDOM.standard_normal((3, 4)).round(3),
    "v": RANDOM.standard_normal(4).round(3),
    "u": RANDOM.standard_normal(4).round(3),
    "t": RANDOM.standard_normal((2, 3, 4)).round(3),
    "p": RANDOM.random((3, 4)).round(3) + 0.5,
    "i": RANDOM.integers(0, 9, (3, 4)),
    "j": RANDOM.integers(1, 5, (3, 4)),
    "f": RANDOM.random((3, 4)).astype("float32"),
    "m": M,
    "s": M @ M.T + 4 * numpy.eye(4),
    "w": RANDOM.random((3, 4)) > 0.5,
    "c": (RANDOM.standard_normal((3, 4)) + 1j * RANDOM.standard_normal((3, 4))).round(3),
    "n": numpy.array([3.0, numpy.nan, 1.0, numpy.nan, 3.0, numpy.inf]),
    "o": numpy.array([[[1.0], [2.0]]]),
}
UFUNCS_1 = """absolute fabs negative positive rint sign exp exp2 expm1 square sin cos tan arctan
    sinh cosh tanh arcsinh isfinite isinf isnan signbit floor ceil trunc degrees radians deg2rad
    rad2deg conjugate""".split()
UFUNCS_OF_POSITIVE = "log log2 log10 log1p sqrt reciprocal arccosh".split()
UFUNCS_2 = """add subtract multiply divide true_divide maximum minimum fmax fmin arctan2 hypot
    logaddexp copysign nextafter equal not_equal less less_equal greater greater_equal logical_and
    logical_or logical_xor""".split()
UFUNCS_OF_INTEGERS = """bitwise_and bitwise_or bitwise_xor left_shift right_shift floor_divide
    remainder mod power float_power add subtract multiply divide maximum minimum equal
    less""".split()
LINES = [
    *(f"np.{name}(a)" for name in UFUNCS_1),
    *(f"np.{name}(p + 1)" for name in UFUNCS_OF_POSITIVE),
    *(f"np.{name}(a / 9)" for name in "arcsin arccos arctanh".split()),
    *(f"np.{name}(a, v)" for name in UFUNCS_2),
    *(f"np.{name}(i, j)" for name in UFUNCS_OF_INTEGERS),
    "np.invert(i); np.logical_not(w); np.conjugate(c); np.absolute(c); np.fmax(n, 2.0)",
    "np.power(p, a); np.floor_divide(a, p); np.remainder(a, p); np.divmod(i, j); np.exp2(i)",
    "np.matmul(a, m); np.matmul(t, m); np.add(f, 1.5); np.add(i, 2); np.multiply(f, i)",
    "np.add(a, b, dtype='float32'); np.sqrt(i, dtype='float32')",
    "np.add.reduce(a); np.add.reduce(a, axis=None); np.add.reduce(t, axis=(0, 2))",
    "np.multiply.reduce(a, axis=1, keepdims=True); np.maximum.reduce(a); np.minimum.reduce(a, 1)",
    "np.logical_and.reduce(w); np.logical_or.reduce(w, axis=1); np.add.reduce(a, initial=5.0)",
    "np.add.accumulate(a); np.multiply.accumulate(a, axis=1); np.subtract.outer(v, u)",
    # reductions
    "np.sum(a); np.sum(a, axis=0); np.sum(t, axis=(0, 1), keepdims=True); np.sum(i); np.sum(w)",
    "np.sum(a, 1, 'float32'); np.sum(a, initial=2.0); np.sum(f, axis=-1); np.prod(a, axis=0)",
    "np.mean(a); np.mean(i, axis=1); np.mean(w); np.std(a); np.std(a, axis=0, ddof=1)",
    "np.var(a, keepdims=True); np.var(i, axis=1); np.min(a); np.max(a, axis=1); np.amin(a, 0)",
    "np.amax(a, axis=(0, 1)); np.ptp(a, axis=1); np.average(a); np.average(a, weights=p)",
    "np.average(a, axis=1, weights=v); np.average(a, axis=0, weights=[1.0, 2.0, 3.0])",
    "np.average(t, axis=1, weights=a[:, 0]); np.average(t, -1, v, keepdims=True)",
    "np.fabs(i); np.rint(i); np.mean(i, dtype='int64'); np.tile(v, np.int64(2))",
    "np.average(a, axis=1, weights=p); np.all(w); np.any(w, axis=0); np.count_nonzero(i, axis=1)",
    "np.argmax(a); np.argmax(a, axis=1); np.argmin(a, axis=0, keepdims=True)",
    "np.cumsum(a); np.cumsum(a, axis=1); np.cumprod(a, axis=0); np.cumsum(i, dtype='float64')",
    "np.diff(a); np.diff(a, axis=0); np.diff(v, n=2); np.diff(v, prepend=[0.0], append=v)",
    # products
    "np.dot(a, m); np.dot(v, u); np.dot(t, v); np.dot(a, 2.0); np.dot(t, m); np.inner(a, b)",
    "np.vdot(a, b); np.vdot(c, c); np.outer(a, v); np.tensordot(a, b, axes=([0, 1], [0, 1]))",
    "np.tensordot(a, m, 1); np.tensordot(a, b, axes=(0, 0)); np.einsum('ij,jk->ik', a, m)",
    "np.einsum('ij,ij->i', a, b); np.einsum('ii->', m, optimize=True); np.cross(v[:3], u[:3])",
    "np.trace(m); np.trace(m, 1); np.trace(t, axis1=1, axis2=2); np.diagonal(m, -1)",
    "np.diagonal(t, axis1=0, axis2=2)",
    # shapes
    "np.shape(a); np.ndim(t); np.size(a); np.size(t, 1); np.transpose(a); np.ravel(t)",
    "np.transpose(t, (1, 2, 0)); np.swapaxes(t, 0, -1); np.moveaxis(t, 0, 2)",
    "np.reshape(a, (2, 6)); np.reshape(a, -1); np.expand_dims(a, 1); np.expand_dims(a, (0, -1))",
    "np.squeeze(o); np.squeeze(o, axis=0); np.broadcast_to(v, (2, 4)); np.broadcast_arrays(a, v)",
    "np.atleast_1d(a); np.atleast_2d(v); np.atleast_3d(v); np.atleast_3d(a); np.atleast_2d(v, a)",
    # joining, parting, moving
    "np.concatenate([a, b]); np.concatenate((a, b), axis=1); np.concatenate([a, v], axis=None)",
    "np.concatenate([a, b], dtype='float32'); np.stack([a, b]); np.stack([a, b], axis=-1)",
    "np.vstack([a, v]); np.hstack([a, b]); np.hstack([v, u]); np.dstack([a, b]); np.append(a, v)",
    "np.column_stack([v, u]); np.column_stack([a, b]); np.append(a, b, axis=0)",
    "np.split(v, 2); np.split(a, [1, 3], axis=1); np.array_split(v, 3); np.vsplit(a, 3)",
    "np.hsplit(a, 2); np.hsplit(v, [1]); np.flip(a); np.flip(t, (0, 2)); np.flipud(a)",
    "np.fliplr(a); np.roll(a, 2); np.roll(a, (1, -1), axis=(0, 1)); np.tile(a, 2)",
    "np.tile(v, (2, 1)); np.repeat(a, 2); np.repeat(v, [1, 0, 2, 3]); np.repeat(a, 3, axis=1)",
    "np.tril(m); np.triu(m, 1); np.meshgrid(v, u); np.meshgrid(v, u[:2], indexing='ij')",
    # values
    "np.zeros_like(a); np.ones_like(i, dtype='float32'); np.full_like(a, 3); np.copy(a)",
    "np.zeros_like(a, shape=(2, 2)); np.shape(np.empty_like(a)); np.result_type(f, i)",
    "np.can_cast(f, 'float64'); np.iscomplexobj(c); np.isrealobj(c); np.real(c); np.imag(c)",
    "np.imag(a); np.real(a); np.angle(c); np.angle(c, True); np.clip(a, -0.5, 0.5)",
    "np.clip(a, None, v); np.round(a); np.round(a, 1); np.around(a * 100, -1); np.round(i, 2)",
    "np.isclose(a, a + 1e-9); np.isclose(n, n, equal_nan=True); np.isclose(n, n)",
    "np.allclose(a, a); np.allclose(a, b); np.isclose(i, i + 1); np.isclose(w, w)",
    "np.array_equal(a, a); np.array_equal(a, v); np.array_equal(n, n, equal_nan=True)",
    "np.array_equal(n, n); np.array_equiv(v, np.stack([v, v])); np.array_equiv(a, u)",
    "np.where(a > 0, a, 0.0); np.where(i, a, b); np.where(w); np.nonzero(i); np.flatnonzero(w)",
    "np.argwhere(w); np.take(a, [0, 5]); np.take(a, [[0], [2]], axis=1); np.take(v, -1)",
    "np.take_along_axis(a, np.argsort(a, axis=1), 1); np.compress([True, False, True], a, axis=0)",
    "np.searchsorted(np.sort(v), u); np.searchsorted(np.sort(v), u, side='right')",
    "np.sort(a); np.sort(a, axis=0); np.sort(a, axis=None); np.argsort(v)",
    "np.argsort(a, axis=None)",
    "np.sort(a, kind='stable'); np.isin(i, [1, 2]); np.isin(i, j, invert=True)",
    "np.unique(i); np.unique(n); np.unique(i, return_counts=True); np.unique(v, return_index=True)",
    "np.unique(n, return_index=True, return_counts=True); np.unique(n, equal_nan=False)",
    "np.argwhere(np.max(a)); np.union1d(i, [20, 1]); np.intersect1d(i, j); np.setdiff1d(i, j)",
    "np.setxor1d(n, n[:3]); np.setxor1d(c, c[:1]); np.around(np.full_like(c, np.inf), 1)",
    "np.setxor1d(i, j); np.intersect1d(i, j, return_indices=True); np.setdiff1d(j, [1.5, 2])",
    "np.sort(np.partition(v, 2)); np.partition(v, 2)[2]; np.take(v, np.argpartition(v, 1))[1]",
    "np.lexsort((u, v)); np.lexsort((i[0], i[1] // 5)); np.lexsort(j)",
    # statistics
    "np.median(a); np.median(a, axis=0); np.median(t, axis=(0, 2)); np.median(i, 1, keepdims=True)",
    "np.median(f); np.median(n); np.median(n[4:]); np.median(w)",
    "np.median(t, (0, 1), keepdims=True)",
    "np.quantile(a, 0.3); np.quantile(a, [0.1, 0.9], axis=1); np.percentile(t, 75, axis=(0, 1))",
    "np.percentile(a, [0, 50, 100], axis=0, keepdims=True); np.percentile(i, 33, method='lower')",
    "np.quantile(v, 0.4, method='higher'); np.quantile(v, 0.4, method='nearest')",
    "np.quantile(n, 0)",
    "np.quantile(v, 0.4, method='midpoint'); np.quantile(a, 0.5, keepdims=True); np.nanmean(f)",
    "np.nansum(n); np.nanprod(n[:5]); np.nanmax(n); np.nanmin(n[:4]); np.nanmean(n[:5])",
    "np.nanvar(n[:5]); np.nanstd(n[:5], ddof=1); np.nanmedian(n); np.nanmedian(n[1:2])",
    "np.nansum(a, axis=0); np.nanmean(i, axis=1, keepdims=True); np.nanmax(i); np.nanmax(n[1:2])",
    "np.nancumsum(n); np.nancumprod(a, axis=1); np.nansum(n[:5], dtype='float32'); np.nansum(w)",
    "np.nanmean(n[1:2]); np.nanvar(n[1:3], ddof=1); np.nanmean(c); np.nanmedian(t, axis=(0, 2))",
    "np.cov(a); np.cov(a, rowvar=False); np.cov(v); np.cov(v, u); np.cov(a, bias=True); np.cov(c)",
    "np.cov(f, ddof=2); np.corrcoef(a); np.corrcoef(v, u); np.corrcoef(c); np.corrcoef(v)",
    "np.bincount(i.ravel()); np.bincount(i[0], minlength=20); np.bincount(i[0], weights=v)",
    "np.bincount(i[0][:0]); np.digitize(a, [-1.0, 0.0, 1.0])",
    "np.digitize(i, [1, 4, 7], right=True)",
    "np.digitize(a, [1.0, 0.0, -1.0]); np.digitize(i, [7, 4, 1], right=True)",
    "np.histogram(a); np.histogram(i, bins=4, range=(1, 7))",
    "np.histogram(a, [-1.0, 0.0, 0.5, 2.0])",
    "np.histogram(a, 5, density=True); np.histogram(a, 3, weights=p); np.histogram(i[0][:0], 2)",
    "np.histogram(i, [1, 2, 3, 9])",
    "np.median(a[:0]); np.median(t[:, :0], axis=1, keepdims=True); np.nanmedian(a[:, :0], axis=1)",
    "np.float_power(c.astype('complex64'), 2); np.cov(f[:, :3], rowvar=False)",
    "np.average(np.multiply(j, 25).astype('int8'), weights=j.astype('int8'), axis=1)",
    "np.average(f, weights=j.astype('int8')); np.average(f[:, :2], 1, [1, 2]); np.average(i, 0)",
    "np.digitize(a, np.array([4, 2, 1], 'uint8')); np.histogram(i, 3, weights=j)",
    "np.fmax(n, 2); np.fmin(f, 1); np.fmax(i.astype('int8'), 3); np.fmin(n, np.nan)",
    "np.bincount(w[0])",
    "np.setdiff1d(n, [1.0]); np.fmax(i.astype('uint64') + 2**63, 1)",
    # put together from parts
    "np.diag(v); np.diag(v, 2); np.diag(v, -1); np.diag(m); np.diag(a, 1); np.diag(w[0])",
    "np.diagflat(a); np.kron(v, u); np.kron(a, m); np.kron(v, a); np.kron(t, [[1.0, 2.0]])",
    "np.rot90(a); np.rot90(a, 2); np.rot90(t, 3, (1, 2)); np.rot90(t, -2, (2, 0)); np.rot90(a, 4)",
    "np.pad(a, 1); np.pad(v, (0, 3), constant_values=(1, 2.5)); np.pad(a, ((1, 2), (0, 1)))",
    "np.pad(a, 2, 'edge'); np.pad(i, ((2, 1), (3, 0)), mode='reflect'); np.pad(v, 6, 'symmetric')",
    "np.pad(v, (3, 9), 'wrap'); np.pad(i, 1, constant_values=7); np.delete(v, 1)",
    "np.delete(a, [0, 2], axis=0); np.delete(a, slice(1, 3), 1); np.delete(i, 5)",
    "np.select([a > 1, a > 0], [a, i], 7.0); np.select([w], [i]); np.select([w, a > 0], [a, b])",
    # made
    "np.identity(3) + a[:, :3]; np.logspace(0, 2, 5) + v[0]; np.geomspace(1, 100, 3) + a[:, :3]",
    "np.logspace(0, 3, 4, base=2.0, endpoint=False) + v; np.geomspace(-2, -32, 4, False) + v",
    # numerical methods
    "np.gradient(v); np.gradient(a); np.gradient(a, 0.5, axis=1); np.gradient(v, u.cumsum() ** 3)",
    "np.gradient(v, edge_order=2)",
    "np.gradient(a, 2.0, np.array([0.0, 1.0, 1.5, 4.0]), edge_order=2)",
    "np.gradient(v, np.array([0.0, 1.0, 1.5, 4.0]), edge_order=2); np.gradient(i, axis=0)",
    "np.gradient(a[:, :2], axis=1); np.gradient(f, axis=0); np.trapz(a)",
    "np.trapz(a, dx=0.5, axis=0)",
    "np.trapz(a, v); np.trapz(a, b, axis=0); np.trapz(i); np.nan_to_num(n); np.nan_to_num(i)",
    "np.nan_to_num(n, nan=1.0, posinf=9.0); np.nan_to_num(-n, neginf=-5.0)",
    "np.nan_to_num(n + 1j * n)",
    "np.interp(v, np.sort(u), p[0]); np.interp(v, np.sort(u), p[0], -1.0, 9.0)",
    "np.interp(n, v * 0, u)",
    "np.interp(np.sort(u), np.sort(u), v); np.interp(i, [1, 4, 7], [2, 0, 5])",
    "np.interp(a, [0.0], [2])",
    "np.ediff1d(a); np.ediff1d(v, 1.0, [5, 6]); np.polyval([1.0, -2.0, 3.0], a); np.polyval(v, i)",
    # linear algebra
    "np.linalg.det(m); np.linalg.inv(s); np.linalg.slogdet(m); np.linalg.solve(s, v)",
    "np.linalg.solve(s, a.T); np.linalg.cholesky(s); np.linalg.eigvalsh(s); np.linalg.eigh(s)[0]",
    "abs(np.linalg.qr(m)[1]); np.linalg.svd(a)[1]; np.linalg.svd(a, compute_uv=False)",
    "np.linalg.svd(a, full_matrices=False)[1]; np.linalg.pinv(a); np.linalg.matrix_rank(a)",
    "np.linalg.matrix_rank(a, 100.0); np.linalg.matrix_power(m, 3); np.linalg.multi_dot([a, m, v])",
    "np.linalg.lstsq(s, v, rcond=None)[0]; np.linalg.norm(v); np.linalg.norm(a)",
    "np.linalg.norm(a, axis=1); np.linalg.norm(a, 1, axis=0, keepdims=True); np.linalg.norm(t)",
    "np.linalg.norm(a, 'nuc'); np.linalg.norm(a, np.inf); np.linalg.norm(t, axis=(0, 2))",
    "np.linalg.norm(t, 2, axis=(1, 2), keepdims=True); np.linalg.norm(v, np.inf)",
    # transforms
    "np.fft.fft(a); np.fft.ifft(c, axis=0); np.fft.rfft(a, n=6); np.fft.irfft(c)",
    "np.fft.fft2(a); np.fft.ifftn(c); np.fft.rfftn(t, norm='ortho'); np.fft.fftshift(a)",
    "np.fft.ifftshift(v); np.fft.rfft2(a); np.fft.hfft(c, norm='forward')",
]
if hasattr(numpy, "trapezoid"):  # numpy 2's name
    LINES = [line.replace("trapz", "trapezoid") for line in LINES]
STATEMENTS = [line.strip() for text in LINES for line in text.split(";")]


def same(got, wanted):
    if isinstance(wanted, (tuple, list)):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted):
            same(one, other)
        return
    if isinstance(wanted, (numpy.ndarray, numpy.generic)):
        assert isinstance(got, (tensord.Array, bool, int)), type(got)
        assert numpy.shape(got) == wanted.shape
        if isinstance(got, tensord.Array):
            assert got.dtype == wanted.dtype
        numpy.testing.assert_allclose(numpy.asarray(got), wanted, rtol=2e-6, atol=1e-9)
        return
    assert type(got) is type(wanted) and got == wanted


@pytest.fixture
def names(client):
    return {name: client.put(array) for name, array in VALUES.items()}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_same_as_numpy(names, statement):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = eval(statement, {"np": np, **VALUES})
    same(eval(statement, {"np": np, **names}), wanted)


MORE = """array identity logspace geomspace power mod invert left_shift right_shift conjugate
    absolute true_divide arccos arccosh arcsin arcsinh arctan arctan2 arctanh""".split()


class Names:
    """numpy, but for what the module has of numpy's functions beside those of the standard."""

    def __init__(self, path="", there=numpy, here=tensord):
        self.own = {*_numpy_names.functions_of(path), *(() if path else MORE)}
        self.path, self.there, self.here = path, there, here

    def __getattr__(self, name):
        if name in ("linalg", "fft") and not self.path:
            return Names(name, getattr(numpy, name), getattr(tensord, name))
        return getattr(self.here if name in self.own else self.there, name)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_same_by_the_module(names, statement):
    """As functions of the module, with what is no array put where the arrays are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = eval(statement, {"np": np, **VALUES})
    same(eval(statement, {"np": Names(), **names}), wanted)


def test_array(client):
    a = numpy.arange(3.0)
    x = tensord.array(a, client=client)
    y = tensord.array(x)
    x[0] = 9
    assert y.tolist() == [0, 1, 2] and tensord.array(x, copy=None) is x
    assert tensord.array(x, "int64", ndmin=2).tolist() == [[9, 1, 2]]
    with pytest.raises(tensord.ArgumentError, match="copy"):
        tensord.array(a, copy=False, client=client)


def test_out_of_the_modules(client):
    x, y, out = client.put([1.0, 4.0]), client.put([3.0, 2.0]), client.put([0.0, 0.0])
    assert tensord.fmax(x, y, out=out) is out and out.tolist() == [3.0, 4.0]
    assert tensord.median(tensord.stack([x, y]), axis=0, out=out) is out
    assert out.tolist() == [2.0, 3.0]
    assert tensord.concatenate([x, [1, 2]])._client is client


@pytest.mark.parametrize("line", [
    "td.cumsum(x, 7)", "td.transpose(x, (0, 1, 2))", "td.dot(x, x)", "td.hsplit(x, 7)",
    "td.ptp(x, 4)", "td.trapezoid(x, axis=3)", "np.cumsum(x, 7)", "np.transpose(x, (0, 1, 2))",
    "np.dot(x, x)", "np.power(x, x[:, :2])", "np.fmax(x, x[:, :2])", "np.left_shift(x, x)",
    "td.concatenate([x], 5)"])
def test_messages_name_what_was_called(client, line):
    x = client.put([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    with pytest.raises(tensord.TensordError) as caught:
        eval(line, {"td": tensord, "np": numpy, "x": x})
    assert str(caught.value).startswith(line[3:].partition("(")[0] + ": ")


@pytest.mark.parametrize("name", ["setxor1d", "union1d", "intersect1d", "setdiff1d"])
def test_sets_of_one_client(client, name):
    x, (ours, theirs) = client.put([1.0, 2.0, 2.0]), (getattr(m, name) for m in (tensord, numpy))
    for other in (2.0, [7.0, 1.0]):
        assert ours(x, other).tolist() == theirs(numpy.asarray(x), other).tolist()
        assert ours(other, x).tolist() == theirs(other, numpy.asarray(x)).tolist()


def test_what_is_made_is_no_other_name(client):
    x = client.put([1, 2])
    for make in (tensord.around, lambda x: tensord.pad(x, 0), lambda x: tensord.pad(x, 0, "wrap")):
        make(x)[0] = 77
    assert x.tolist() == [1, 2]


@pytest.mark.parametrize("line", [
    "td.fabs(x * 1j)", "td.degrees(x * 1j)", "td.partition(j, 1.5)",
    "td.divmod(x, 2, out=x)", "td.concatenate([x, x], dtype='int32')", "td.ediff1d(j, 1.5)"])
def test_refused_by_the_module(client, line):
    with pytest.raises(TypeError):
        eval(line, {"td": tensord, "x": client.put([1.0, 2.0]), "j": client.put([1, 2])})


@pytest.mark.parametrize("line", [
    "td.diag(t)", "td.cov(t)", "td.linalg.multi_dot([t, t])", "td.fill_diagonal(t[0, 0], 1)",
    "td.lexsort(([1, 2], [1, 2, 3]))", "td.lexsort(())", "td.pad(t, 1, constant_values=np.nan)",
    "td.histogram(t, np.array([4, 1, 2], 'uint8'))", "td.digitize(t, np.array([4, 1, 2], 'uint8'))",
    "td.geomspace(1, -2)", "td.geomspace(0, 1)", "td.partition(t, 2)", "td.partition(t, (0, 2), 1)",
    "td.argpartition(t, -9, None)"])
def test_values_refused_by_the_module(client, line):
    t = client.put(numpy.ones((2, 2, 2), int))
    with pytest.raises(ValueError):
        eval(line, {"td": tensord, "np": numpy, "t": t})


def test_the_client_that_one_has(client):
    """Arrays that have none yet, and ndarrays, go where another argument is."""
    large = numpy.arange(5000.0)
    new = tensord.asarray([0.5])
    assert tensord.interp(new, large, client.put(large)).client is client
    assert numpy.interp(new, large, client.put(large)).client is client
    assert tensord.argwhere(client.put(5)).client is client
    out = client.put(large)
    assert tensord.fmax(large, 0.5, out=out) is out and out.client is client


def test_names_that_there_are_not():
    with pytest.raises(AttributeError, match=r"'histogram2d'; numpy.histogram2d takes numpy.asarr"):
        tensord.histogram2d
    with pytest.raises(AttributeError, match="has no attribute 'meadian'$"):
        tensord.meadian
    assert not hasattr(tensord, "ndarray_") and not hasattr(tensord, "__wrapped__")


def test_as_in_numpy_2(client):
    """Where numpy 1 differs: of one row whose columns are variables, and edges in float32."""
    assert tensord.cov(client.put([[1.0, 5.0]]), rowvar=False, ddof=0).tolist() == [[0, 0], [0, 0]]
    f = client.put(numpy.array([0.1, 0.9, 0.3], "float32"))
    counts, edges = tensord.histogram(f, 2)
    assert edges.dtype == numpy.float32 and counts.tolist() == [2, 1]
    assert tensord.percentile(f, 10).dtype == numpy.float32
    assert tensord.fmax(f, numpy.float32(2)).dtype == numpy.float32
    lowest = client.put([-numpy.inf, 1.0, 2.0])
    assert tensord.quantile(lowest, [0, 0.5, 1]).tolist() == [-numpy.inf, 1, 2]


def test_multi_dot_takes_the_cheapest_order(client):
    chain = [client.put(RANDOM.random(shape)) for shape in ((2, 30), (30, 2), (2, 40), (40, 3))]
    same(numpy.linalg.multi_dot(chain), numpy.linalg.multi_dot([numpy.asarray(x) for x in chain]))
    assert _array_functions_linalg._cheapest((30, 35, 15, 5, 10, 20, 25)) == {
        (0, 1): 0, (1, 2): 1, (2, 3): 2, (3, 4): 3, (4, 5): 4, (0, 2): 0, (1, 3): 2, (2, 4): 2,
        (3, 5): 4, (0, 3): 2, (1, 4): 2, (2, 5): 2, (0, 4): 2, (1, 5): 2, (0, 5): 2}


OPERATORS = """a + b,a - v,a * p,a / p,i // j,i % j,p ** a,m @ s,i & j,i << j,a < b,a == b,
    a != v""".replace("\n", "").split(",")


@pytest.mark.parametrize("line", [line.strip() for line in OPERATORS])
def test_ndarray_on_either_side(names, line):
    wanted = eval(line, {}, VALUES)
    for name in (line[0], line.strip()[-1]):
        got = eval(line, {}, VALUES | {name: names[name]})
        assert isinstance(got, tensord.Array)
        same(got, wanted)


def test_numpy_scalar_on_the_left(client):
    x = client.put([1.0, 2.0])
    for got in (numpy.float64(3) * x, numpy.int64(3) * x, numpy.float32(3) * x):
        assert isinstance(got, tensord.Array) and got.tolist() == [3.0, 6.0]


# ---- out, where and other options ----


def test_out_is_written_in_place(client):
    x, out = client.put([1.0, 4.0]), client.put([0.0, 0.0])
    view = out[1:]
    assert numpy.sqrt(x, out=out) is out
    assert out.tolist() == [1.0, 2.0] and view.tolist() == [2.0]
    assert numpy.sum(x, axis=0, keepdims=True, out=out[:1]).tolist() == [5.0]
    assert out.tolist() == [5.0, 2.0]
    assert numpy.add.reduce(x, axis=0, keepdims=True, out=view) is view
    assert out.tolist() == [5.0, 5.0]


def test_out_of_numpys(client):
    x, out = client.put([1.0, 4.0]), numpy.zeros(2)
    assert numpy.sqrt(x, out=out) is out and out.tolist() == [1.0, 2.0]
    out += x
    assert isinstance(out, numpy.ndarray) and out.tolist() == [2.0, 6.0]
    numpy.copyto(out, x)
    assert out.tolist() == [1.0, 4.0]
    assert numpy.concatenate([x[:1], x[1:]], out=out) is out


def test_several_outs(client):
    x, first, second = client.put([7, 9]), client.put([0, 0]), numpy.zeros(2, int)
    got = numpy.divmod(x, 4, out=(first, second))
    assert got[0] is first and got[1] is second
    assert (first.tolist(), second.tolist()) == ([1, 2], [3, 1])


def test_out_that_does_not_fit(client):
    x = client.put([1.5, 4.0])
    with pytest.raises(tensord.ShapeError, match=r"\(2,\).*\(3,\)"):
        numpy.sqrt(x, out=client.put([0.0, 0.0, 0.0]))
    with pytest.raises(tensord.DtypeError, match="float64.*int64"):
        numpy.sqrt(x, out=client.put([0, 0]))
    with pytest.raises(tensord.Sealed):
        numpy.sqrt(x, out=client.put([0.0, 0.0], "sealed"))


def test_copyto_an_array(client):
    x = client.put([1.0, 2.0])
    numpy.copyto(x, numpy.array([3, 4]))
    assert x.tolist() == [3.0, 4.0]
    numpy.copyto(x, 7)
    assert x.tolist() == [7.0, 7.0]


REFUSED = {
    "np.add(x, 1, where=[True, False])": "where",
    "np.sum(x, where=w)": "where",
    "np.add(x, 1, casting='no')": "casting",
    "np.add(x, 1, order='F')": "order",
    "np.add.at(x, [0], 1)": r"x\[...\]",
    "np.add.reduceat(x, [0])": "asarray",
    "np.subtract.reduce(x)": "asarray",
    "np.heaviside(x, 1.0)": r"numpy.heaviside.*numpy.asarray\(x\)",
    "np.frexp(x)": "numpy.frexp",
    "np.unwrap(x)": r"numpy.unwrap.*numpy.asarray\(x\)",
    "np.convolve(x, x)": "numpy.convolve.*asarray",
    "np.histogram(x, bins='auto')": "numpy.histogram.*auto",
    "np.quantile(x, 0.5, method='weibull')": "weibull.*linear",
    "np.pad(x, 1, 'mean')": "numpy.pad.*mean.*asarray",
    "np.linalg.cond(x)": "numpy.linalg.cond",
    "np.linalg.eigh(x, 'U')": "triangle",
    "np.unique(x, axis=0)": "axis",
    "np.take(x, 0, mode='wrap')": "mode",
    "np.meshgrid(x, x, sparse=True)": "sparse.*asarray",
    "np.add(x, 1, dtype='int64')": "astype",
}


def test_the_ufunc_of_another(client):
    """It is named as it is, not as one of numpy's."""
    add = numpy.frompyfunc(lambda x, y: x, 2, 1)
    with pytest.raises(TypeError, match="^[^.]*is not computed by tensord"):
        add(client.put([1.0]), 2.0)


@pytest.mark.parametrize("line", REFUSED)
def test_refused(client, line):
    x, w = client.put([1.0, 2.0]), numpy.array([True, False])
    with pytest.raises(TypeError, match=REFUSED[line]) as problem:
        eval(line, {"np": np, "x": x, "w": w})
    assert isinstance(problem.value, tensord.ArgumentError)
    assert "ArrayLike" not in str(problem.value)  # names and defaults tell enough


def test_unsupported_dtypes_are_named(client):
    x = client.put([1.0, 2.0])
    for array in (numpy.array(["a", "b"]), numpy.array([None, 1]), numpy.array([1, 2], "M8[s]")):
        with pytest.raises(tensord.DtypeError):
            numpy.add(x, array)
        with pytest.raises(tensord.DtypeError):
            numpy.concatenate([x, array])


class Foreign:
    """Another library's array."""

    def __array_ufunc__(self, *args, **options):
        return "its own"

    def __array_function__(self, *args, **options):
        return "its own"


def test_other_libraries_come_to_their_turn(client):
    x = client.put([1.0, 2.0])
    assert numpy.add(x, Foreign()) == numpy.add(Foreign(), x) == "its own"
    assert numpy.concatenate([x, Foreign()]) == "its own"


def test_what_only_looks(client, tmp_path):
    x = client.put(numpy.arange(6.0).reshape(2, 3), "x")
    numpy.save(tmp_path / "x.npy", x)
    numpy.savez(tmp_path / "x.npz", x=x, y=x.T)
    numpy.savetxt(tmp_path / "x.txt", x)
    assert numpy.load(tmp_path / "x.npy").tolist() == x.tolist()
    assert numpy.load(tmp_path / "x.npz")["y"].tolist() == x.T.tolist()
    assert numpy.loadtxt(tmp_path / "x.txt").tolist() == x.tolist()
    assert numpy.shares_memory(x, numpy.asarray(x)) and not numpy.may_share_memory(x, x.tolist())
    assert numpy.array2string(x[0]) == "[0. 1. 2.]"


def test_comparing_arrays_of_two_clients(daemon, client):
    with daemon.connect() as other:
        x, y = client.put(numpy.arange(3000.0)), other.put(numpy.arange(3000.0))
        assert numpy.array_equal(x, y) and numpy.allclose(x, y)
        assert not numpy.array_equal(x, y + 1) and not numpy.array_equiv(x, y[:1])


MIXED = """np.dot(y, x); np.tensordot(x, y); np.vstack([y, x]); np.maximum(y, x); np.inner(x, y)
    np.where(y > 0, x, y); np.einsum('ij,ij->i', y, x); np.subtract.outer(y[0], x[0])
    np.fmax(y, x); np.isclose(y, x); np.append(y, x); np.average(y, weights=x)"""


@pytest.mark.parametrize("line", [line.strip() for line in MIXED.replace("\n", ";").split(";")])
def test_the_client_of_an_array_has_the_rest_too(client, monkeypatch, line):
    monkeypatch.setenv("TENSORD_SOCKET", "/nonexistent/socket")  # nobody else computes
    monkeypatch.setattr(tensord._default, "_default", None)
    y = RANDOM.random((100, 100)) + 0.5
    wanted = eval(line, {"np": np, "x": y + 1, "y": y})
    same(eval(line, {"np": np, "x": client.put(y + 1), "y": y}), wanted)


def test_lazy(client):
    x = client.put(numpy.ones(1000))
    y = numpy.sqrt(numpy.add(x, 3)) + numpy.sum(x)
    assert y._operand().node is not None
    assert float(y[0]) == 1002.0


# ---- ndarrays made of arrays ----


def test_asarray_makes_no_copy(client):
    x = client.put(numpy.arange(1000.0))
    array = numpy.asarray(x)
    assert numpy.shares_memory(array, numpy.asarray(x)) and not array.flags.writeable
    assert numpy.array(x).flags.writeable
    assert numpy.asarray(x, dtype="float32").dtype == numpy.float32


@pytest.mark.skipif(numpy.__version__ < "2", reason="copy=False forbids copies from numpy 2 on")
def test_copy_false_of_numpy_2(client):
    x = client.put(numpy.arange(1000.0))
    assert numpy.shares_memory(numpy.asarray(x, copy=False), numpy.asarray(x))
    assert numpy.asarray(x, copy=True).flags.writeable
    with pytest.raises(ValueError):
        numpy.asarray(x, dtype="float32", copy=False)

"""The two streams of sunlight solved by matrix exponentials and one linear system, with optics of their own tables.

Tables: Lacis and Hansen 1974, as the kernels fit them; Slingo 1989; Ebert and Curry 1992. Equations: Meador and Weaver
1980, doi:10.1175/1520-0469(1980)037<0630:TSATRT>2.0.CO;2, for the coefficients of Zdunkowski et al.
1980.
"""

import numpy as np

from radiative_columns import Array, Columns

# fraction of sunlight; absorption by ozone [cm-1 at standard temperature and pressure] and water vapour [cm2 g-1];
# Rayleigh depth of 1000 hPa; band of the optics of cloud
TERMS = [
    (0.0075, 127.0, 0.0, 1.0, 0),
    (0.0126, 4.07, 0.0, 1.0, 0),
    (0.4499, 0.0471, 0.0, 0.17, 0),
    (0.2983, 0.0, 0.0, 0.0, 1),
    (0.1419, 0.0, 0.1137, 0.0, 2),
    (0.0622, 0.0, 2.88, 0.0, 2),
    (0.0276, 0.0, 72.95, 0.0, 3),
]
# extinction [m2 g-1], single-scattering albedo and asymmetry of droplets of 10 µm and ice particles of 30 µm
LIQUID = [
    (0.02817 + 0.1305, 1.0 + 5.62e-8 - 1.63e-6, 0.829 + 0.02482),
    (0.02682 + 0.1346, 1.0 + 6.94e-6 - 2.35e-4, 0.794 + 0.04226),
    (0.02264 + 0.1454, 1.0 - 4.64e-4 - 1.24e-2, 0.754 + 0.0656),
    (0.01281 + 0.1641, 1.0 - 0.201 - 0.0756, 0.826 + 0.04353),
]
ICE = [
    (0.003448 + 2.431 / 30.0, 1.0 - 1.0e-5, 0.7661 + 0.017553),
    (0.003448 + 2.431 / 30.0, 1.0 - 1.1e-4 - 4.215e-4, 0.7730 + 0.016995),
    (0.003448 + 2.431 / 30.0, 1.0 - 0.01861 - 0.024984, 0.794 + 0.021801),
    (0.003448 + 2.431 / 30.0, 1.0 - 0.46658 - 6.15e-4, 0.9595 + 0.003228),
]


def matrix_exponential(matrix: Array) -> Array:
    """By its series, of the matrix halved until it is small."""
    n_half = max(0, int(np.ceil(np.log2(np.abs(matrix).max() + 1e-30))) + 6)
    small, total, term = matrix / 2.0**n_half, np.eye(len(matrix)), np.eye(len(matrix))
    for n in range(1, 14):
        term = term @ small / n
        total = total + term
    for _ in range(n_half):
        total = total @ total
    return np.asarray(total)


def streams(depth: float, albedo: float, g: float, cosine: float) -> Array:
    """Propagator of (F↑, F↓, direct) down through a layer, from the differential equations of the two streams."""
    gamma1 = (8.0 - albedo * (5.0 + 3.0 * g)) / 4.0
    gamma2 = 3.0 * albedo * (1.0 - g) / 4.0
    gamma3 = (2.0 - 3.0 * g * cosine) / 4.0
    rates = [
        [gamma1, -gamma2, -gamma3 * albedo / cosine],
        [gamma2, -gamma1, (1.0 - gamma3) * albedo / cosine],
        [0.0, 0.0, -1.0 / cosine],
    ]
    return matrix_exponential(depth * np.array(rates))


def layer_optics(columns: Columns, term: int, i: int, k: int) -> tuple[float, float, float]:
    """Depth, single-scattering albedo and asymmetry of a layer, delta-scaled."""
    _, ozone, vapor, rayleigh, band = TERMS[term]
    path = columns.path[i, k]
    pressure = columns.interface[i, k : k + 2].mean() / 1.0e5
    gas = ozone * columns.ozone[i, k] * path / 2.1415 * 100.0 + vapor * columns.humidity[i, k] * path * pressure * 0.1
    air = rayleigh * columns.thickness[i, k] / 1.0e5
    depth, scattered, forward = gas + air, air, 0.0
    for water, table in ((columns.liquid, LIQUID), (columns.ice, ICE)):
        extinction, albedo, g = table[band]
        cloud = 0.7 * 1000.0 * extinction * water[i, k] * path
        depth += cloud * (1.0 - albedo * g**2)
        scattered += cloud * albedo * (1.0 - g**2)
        forward += cloud * albedo * (g - g**2)
    return depth, scattered / depth if depth else 0.0, forward / scattered if scattered else 0.0


def solve(columns: Columns, term: int, i: int) -> tuple[Array, Array, float, float]:
    """F↑, F↓ (with direct) at the interfaces, direct and diffuse at the surface, by one linear system."""
    n_level = columns.temperature.shape[1]
    direct_albedo, diffuse_albedo = columns.albedo[[0, 2] if term < 3 else [1, 3], i]
    size = 3 * (n_level + 1)
    matrix, right = np.zeros((size, size)), np.zeros(size)
    matrix[0, 1] = matrix[1, 2] = 1.0
    right[1] = TERMS[term][0] * columns.sunlight[i]
    for k in range(n_level):
        rows = slice(3 * k + 2, 3 * k + 5)
        matrix[rows, 3 * k : 3 * k + 3] = -streams(*layer_optics(columns, term, i, k), columns.cosine[i])
        matrix[rows, 3 * k + 3 : 3 * k + 6] = np.eye(3)
    matrix[-1, -3:] = 1.0, -diffuse_albedo, -direct_albedo
    up, diffuse, direct = np.linalg.solve(matrix, right).reshape(-1, 3).T
    return up, diffuse + direct, direct[-1], diffuse[-1]

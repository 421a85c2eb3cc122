"""Turn: a matrix copied with its other axis innermost, by tiles that are turned in registers. Knows Code."""

TILE = 4  # rows and columns that are turned in registers at once


def transposable(shape, strides, dtype):
    """Whether an array's first axis of two is the one whose elements are neighbours, and it is worth while to turn it by tiles."""
    if len(shape) != 2 or dtype.kind not in "fiu":
        return False
    return strides[0] == dtype.itemsize and shape[1] % TILE == 0 and shape[0] >= TILE // 2


def transpose(code, source, target, shape, strides, dtype):
    """target, row by row, = what stands at source: tiles are loaded along its first axis and stored along its second."""
    m, n = shape
    size = dtype.itemsize

    def pairs(a, b, low, high):
        both = code.join([a, b])
        return code.shuffle(both, low), code.shuffle(both, high)

    def tile(i, j, rows):
        """rows: how many of the first axis, at most TILE."""
        at = code.at(code.at(source, code.times(i, size)), code.times(j, strides[1]))
        a, b, c, d = (code.load(code.at(at, k * strides[1]), dtype, TILE, rows) for k in range(TILE))
        (a, b), (c, d) = (pairs(x, y, (0, 4, 2, 6), (1, 5, 3, 7)) for x, y in ((a, b), (c, d)))
        (a, c), (b, d) = (pairs(x, y, (0, 1, 4, 5), (2, 3, 6, 7)) for x, y in ((a, c), (b, d)))
        out = code.at(code.at(target, code.times(i, n * size)), code.times(j, size))
        for k, x in enumerate((a, b, c, d)[:rows]):
            code.store(x, code.at(out, k * n * size))

    with code.loop(0, n, TILE) as j:
        if m >= TILE:
            with code.loop(0, m // TILE * TILE, TILE) as i:
                tile(i, j, TILE)
        if m % TILE:
            tile(m // TILE * TILE, j, m % TILE)

"""What operations on single values cost, by ATen name."""

# Per element: multiplications, additions, comparisons, special functions (exp, erf …).
ACTIVATIONS = {
    "relu": (0, 0, 1, 0),
    "hardtanh": (0, 0, 2, 0),
    "leaky_relu": (1, 0, 1, 0),
    "prelu": (1, 0, 1, 0),
    "tanh": (0, 0, 0, 1),
    "sigmoid": (0, 0, 0, 1),
    "softplus": (0, 0, 0, 1),
    "elu": (0, 1, 1, 1),
    "silu": (1, 0, 0, 1),
    "gelu": (3, 1, 0, 1),
    "mish": (1, 0, 0, 2),
    "hardsigmoid": (1, 1, 2, 0),
    "hardswish": (2, 1, 2, 0),
}
ELEMENTWISE = {
    "add": (0, 1, 0, 0),
    "sub": (0, 1, 0, 0),
    "rsub": (0, 1, 0, 0),
    "mul": (1, 0, 0, 0),
    "div": (1, 0, 0, 0),
    "addcmul": (1, 1, 0, 0),
    "lerp": (1, 2, 0, 0),
    "square": (1, 0, 0, 0),
    "abs": (0, 0, 1, 0),
    "clamp": (0, 0, 2, 0),
    "clamp_min": (0, 0, 1, 0),
    "maximum": (0, 0, 1, 0),
    "minimum": (0, 0, 1, 0),
    "eq": (0, 0, 1, 0),
    "ne": (0, 0, 1, 0),
    "lt": (0, 0, 1, 0),
    "le": (0, 0, 1, 0),
    "gt": (0, 0, 1, 0),
    "ge": (0, 0, 1, 0),
    "pow": (0, 0, 0, 1),
    "exp": (0, 0, 0, 1),
    "log": (0, 0, 0, 1),
    "sqrt": (0, 0, 0, 1),
    "rsqrt": (0, 0, 0, 1),
    "reciprocal": (0, 0, 0, 1),
    "sin": (0, 0, 0, 1),
    "cos": (0, 0, 0, 1),
    "erf": (0, 0, 0, 1),
}
# Moves or makes values; no arithmetic, but memory traffic.
MOVES = (
    "clone copy cat stack constant_pad_nd index index_select gather roll flip repeat "
    "masked_fill where tril triu upsample_nearest1d upsample_nearest2d _to_copy neg "
    "unfold im2col index_copy index_put scatter fill zero _unsafe_view alias"
)

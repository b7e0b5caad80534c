"""Numbers that go through a loop side by side in registers, for loops that the compiler does not see through by itself.

They stay in registers from one row of a matrix to the next, where a loop over arrays would write them to memory and
read them again. They are of a type of numba's: nothing here can be called from Python, and without its compiler
(`NUMBA_DISABLE_JIT`) there is no training with it.
"""

# mypy: disable-error-code="attr-defined, misc, no-untyped-call, untyped-decorator"

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba.core import cgutils, config, errors, types
from numba.core.codegen import get_host_cpu_features
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic as _intrinsic
from numba.extending import lower_builtin, models, register_model

FILE = Path(__file__)

intrinsic: Any = _intrinsic  # its own type asks for the arguments that numba puts in

FEW = 16
"""Numbers side by side where rows are short: one register of AVX-512."""

WIDTH = 64 if "+avx512f" in (get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES) else 32
"""Numbers side by side: four registers of AVX-512 or of AVX2 in float32; elsewhere the compiler takes what it needs."""


class Lanes(types.Type):
    """The type of them."""

    def __init__(self, dtype: Any, width: int = WIDTH) -> None:  # noqa: ANN401
        self.dtype, self.width = dtype, width
        super().__init__(name=f"Lanes({dtype}, {width})")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """A vector of LLVM."""

    def __init__(self, manager: Any, kind: Lanes) -> None:  # noqa: ANN401
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), kind.width))


def _loads(width: int) -> Any:  # noqa: ANN401
    @intrinsic
    def load(typing: Any, array: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
        """Numbers `at`, `at` + 1, … of an array; or of a row of a matrix, where `at` is the row and the first column.

        (A view of the row would have its references counted, which takes longer than the work on it.)
        """
        _check_rows(array)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ANN401
            return builder.load(_pointer(context, builder, sig, args, width), align=array.dtype.bitwidth // 8)

        return Lanes(array.dtype, width)(array, at), generate

    return load


@intrinsic
def store(typing: Any, array: Any, at: Any, lanes: Any) -> Any:  # noqa: ANN401, ARG001
    """Put them there."""
    _check_rows(array)
    if lanes.dtype != array.dtype:
        msg = f"{lanes} are not what an array of {array.dtype} holds"
        raise errors.TypingError(msg)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ANN401
        pointer = _pointer(context, builder, sig, args, lanes.width)
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, at, lanes), generate


def _broadcasts(width: int) -> Any:  # noqa: ANN401
    @intrinsic
    def broadcast(typing: Any, number: Any) -> Any:  # noqa: ANN401, ARG001
        """The same number everywhere."""

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ANN401, ARG001
            index = ir.IntType(32)
            empty = ir.Constant(ir.VectorType(args[0].type, width), ir.Undefined)
            first = builder.insert_element(empty, args[0], index(0))
            return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(index, width), [0] * width))

        return Lanes(number, width)(number), generate

    return broadcast


load, broadcast = _loads(WIDTH), _broadcasts(WIDTH)
load_few, broadcast_few = _loads(FEW), _broadcasts(FEW)


@intrinsic
def at_least_0(typing: Any, lanes: Any) -> Any:  # noqa: ANN401, ARG001
    """Those above 0, and 0 in place of the others."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ANN401, ARG001
        zero = ir.Constant(args[0].type, [0.0] * lanes.width)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[0], zero)

    return lanes(lanes), generate


@intrinsic
def sum_of(typing: Any, lanes: Any) -> Any:  # noqa: ANN401, ARG001
    """Their sum: halves are added to each other until one number is left."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ANN401, ARG001
        index, sums, width = ir.IntType(32), args[0], lanes.width
        while width > 1:
            width //= 2
            low, high = (ir.Constant(ir.VectorType(index, width), [*range(i, i + width)]) for i in (0, width))
            sums = builder.fadd(builder.shuffle_vector(sums, sums, low), builder.shuffle_vector(sums, sums, high))
        return builder.extract_element(sums, index(0))

    return lanes.dtype(lanes), generate


@intrinsic
def power_of_two(typing: Any, exponent: Any) -> Any:  # noqa: ANN401, ARG001
    """2ᵏ of a whole number that is held as a float, by writing it where a float keeps its exponent."""
    width, mantissa, offset = (32, 23, 127) if exponent == types.float32 else (64, 52, 1023)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ANN401, ARG001
        integer = ir.IntType(width)
        biased = builder.add(builder.fptosi(args[0], integer), integer(offset))
        return builder.bitcast(builder.shl(biased, integer(mantissa)), args[0].type)

    return exponent(exponent), generate


@intrinsic
def exponent(typing: Any, number: Any) -> Any:  # noqa: ANN401, ARG001
    """The k of a number above 0 in 2ᵏ ≤ number < 2ᵏ⁺¹, as a float."""
    width, mantissa, offset = (32, 23, 127) if number == types.float32 else (64, 52, 1023)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ANN401, ARG001
        integer = ir.IntType(width)
        biased = builder.lshr(builder.bitcast(args[0], integer), integer(mantissa))
        return builder.sitofp(builder.sub(biased, integer(offset)), args[0].type)

    return number(number), generate


def _check_rows(array: Any) -> None:  # noqa: ANN401
    if array.layout != "C":
        msg = f"what stands side by side in {array} is no row of it"
        raise errors.TypingError(msg)


def _pointer(context: Any, builder: Any, sig: Any, args: Any, width: int) -> Any:  # noqa: ANN401
    kind, place = sig.args[:2]
    held = context.make_array(kind)(context, builder, args[0])
    indices = cgutils.unpack_tuple(builder, args[1]) if isinstance(place, types.BaseTuple) else [args[1]]
    pointer = cgutils.get_item_pointer(context, builder, kind, held, indices, wraparound=False)
    return builder.bitcast(pointer, ir.VectorType(context.get_data_type(kind.dtype), width).as_pointer())


def _register(operation: Any, name: str) -> None:  # noqa: ANN401
    @infer_global(operation)
    class Operation(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:  # noqa: ANN401, ARG002
            of_lanes = len(args) == 2 and isinstance(args[0], Lanes) and args[0] == args[1]
            return signature(args[0], *args) if of_lanes else None

    @lower_builtin(operation, Lanes, Lanes)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:  # noqa: ANN401, ARG001
        return getattr(builder, name)(*args)


for _operation, _name in ((operator.add, "fadd"), (operator.iadd, "fadd"), (operator.mul, "fmul")):
    _register(_operation, _name)

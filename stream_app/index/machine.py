"""Instructions of the processor that numba has no name for, as functions that compiled code may call."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

INT32 = ir.IntType(32)
READ, KEEP_LONGEST, DATA = INT32(0), INT32(3), INT32(1)


@intrinsic
def bit_count(context: Any, word: Any) -> Any:
    """The set bits of an uint64."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def widened(context: Any, bits: Any) -> Any:
    """The float32 of a float16, which comes as the uint16 of its bits."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic
def bits_of(context: Any, number: Any) -> Any:
    """The bits of a float32, as uint32."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], INT32)

    return types.uint32(types.float32), generate


@intrinsic
def float_of(context: Any, bits: Any) -> Any:
    """The float32 that has these bits."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def prefetch(context: Any, matrix: Any, row: Any, column: Any) -> Any:
    """Ask for the cache line of an element that will be read soon; harmless where there is none."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        array = context.make_array(kind)(context, builder, arguments[0])
        at = cgutils.get_item_pointer(context, builder, kind, array, arguments[1:], wraparound=False)
        called = ir.FunctionType(ir.VoidType(), [at.type, INT32, INT32, INT32])
        instruction = cgutils.get_or_insert_function(builder.module, called, "llvm.prefetch.p0")
        builder.call(instruction, [at, READ, KEEP_LONGEST, DATA])
        return context.get_dummy_value()

    return types.void(matrix, types.int64, types.int64), generate


@intrinsic
def trailing_zeros(context: Any, word: Any) -> Any:
    """The place of the lowest set bit of an uint64 that has one."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def pointer_to(context: Any, address: Any) -> Any:
    """What lies at an address, for `numba.carray`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate

"""A gRPC server of plain bytes, and a client that calls it through a gateway: no generated code."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

SERVICE = "test.Echo"
LARGE = b"x" * 3_000_000


def reverse(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-initial", metadata["x-asked"]),))
    context.set_trailing_metadata((("x-trailing", "t"),))
    return request[::-1]


def fail(request, context):
    context.set_trailing_metadata((("x-trailing", "f"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not like this: ünsound")


def half(requests, context):
    yield next(requests)
    context.abort(grpc.StatusCode.DATA_LOSS, "half of it")


def remaining(request, context):
    return str(context.time_remaining()).encode()


def sleep(request, context):
    while context.is_active():
        time.sleep(0.01)
    return b""


def letters(request, context):
    for byte in request:
        yield bytes([byte])


def join(requests, context):
    return b"+".join(requests)


def upper(requests, context):
    for request in requests:
        yield request.upper()


def serve():
    handlers = {
        "Reverse": grpc.unary_unary_rpc_method_handler(reverse),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Half": grpc.stream_stream_rpc_method_handler(half),
        "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
        "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
        "Letters": grpc.unary_stream_rpc_method_handler(letters),
        "Join": grpc.stream_unary_rpc_method_handler(join),
        "Upper": grpc.stream_stream_rpc_method_handler(upper),
    }
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def call(address):
    channel = grpc.insecure_channel(address)
    path = f"/{SERVICE}/"

    answer, made = channel.unary_unary(path + "Reverse").with_call(
        b"abc", metadata=(("x-asked", "a"),)
    )
    print("unary", answer, dict(made.initial_metadata())["x-initial"], dict(made.trailing_metadata()))
    large = channel.unary_unary(path + "Reverse")(LARGE, metadata=(("x-asked", "a"),))
    print("large", large == LARGE)
    print("server stream", list(channel.unary_stream(path + "Letters")(b"abc")))
    print("client stream", channel.stream_unary(path + "Join")(iter([b"a", b"b", b"c"])))

    # Each message is sent when the one before has been answered.
    answers = []

    def pace():
        for message in [b"a", b"b", b"c"]:
            sent = len(answers)
            yield message
            while len(answers) == sent:
                time.sleep(0.001)

    for answer in channel.stream_stream(path + "Upper")(pace()):
        answers.append(answer)
    print("both", answers)

    for name in ["Fail", "Missing"]:
        try:
            channel.unary_unary(path + name)(b"")
        except grpc.RpcError as error:
            trailing = dict(error.trailing_metadata()).get("x-trailing")
            print("error", error.code().name, error.details(), trailing)
    try:
        for answer in channel.stream_stream(path + "Half")(iter([b"a", b"b"])):
            print("half", answer)
    except grpc.RpcError as error:
        print("error", error.code().name, error.details())

    left = float(channel.unary_unary(path + "Remaining")(b"", timeout=300))
    print("deadline", 290 < left < 310)
    try:
        channel.unary_unary(path + "Sleep")(b"", timeout=0.5)
    except grpc.RpcError as error:
        print("error", error.code().name)


serve() if sys.argv[1] == "serve" else call(sys.argv[2])

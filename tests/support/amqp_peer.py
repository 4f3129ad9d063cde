#!/usr/bin/python3
"""amqp_peer.py PORT COMMAND...: RabbitMQ by pika, a client that nobody here wrote.

    declare QUEUE classic|quorum|small     durable: without arguments, a quorum queue, or one that refuses a third message
    delete QUEUE
    publish QUEUE PRIORITY BODY [COUNT]    as the Python system does; PRIORITY 0: without the property
    publish-long QUEUE BYTES
    get QUEUE [COUNT]               takes and acknowledges; prints a line for each: priority, delivery mode, content of headers, body
    exclusive QUEUE                 declares it exclusively and holds it until standard input ends; prints "held"
"""
import sys

import pika

port, command, queue, *rest = sys.argv[1:]
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(port)))
channel = connection.channel()
if command == "declare":
    channel.queue_declare(queue, durable=True, arguments={
        "classic": None, "quorum": {"x-queue-type": "quorum"}, "small": {"x-max-length": 2, "x-overflow": "reject-publish"}}[rest[0]])
elif command == "delete":
    channel.queue_delete(queue)
elif command == "publish":
    for _ in range(int(rest[2]) if len(rest) > 2 else 1):
        channel.basic_publish("", queue, rest[1].encode(), pika.BasicProperties(delivery_mode=2, priority=int(rest[0]) or None))
elif command == "publish-long":
    channel.basic_publish("", queue, bytes(i % 251 for i in range(int(rest[0]))))
elif command == "get":
    for _ in range(int(rest[0]) if rest else 1):
        how, p, body = channel.basic_get(queue)
        channel.basic_ack(how.delivery_tag)
        headers = " ".join(f"{k}={v}" for k, v in sorted((p.headers or {}).items()))
        print(f"{p.priority} {p.delivery_mode} [{headers}] {body.decode() if len(body) < 1000 else len(body)}")
elif command == "exclusive":
    channel.queue_declare(queue, exclusive=True)
    print("held", flush=True)
    sys.stdin.read()
else:
    sys.exit(f"no such command: {command}")
connection.close()

"""Says which container answered, and who asked it."""

import socket

from flask import Flask, request

app = Flask(__name__)


@app.route("/")
def hello():
    return f"hello from {socket.gethostname()}, asked by {request.remote_addr}\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)

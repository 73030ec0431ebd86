"""A web application with a compiled extension."""

import os
import signal
import sys

import fastsum
from flask import Flask
from waitress import serve

GREETING = "hello from Python, first edition"

app = Flask(__name__)


@app.get("/")
def index():
    return f"{GREETING}: {fastsum.squares(1000)}\n"


def stop(_signal, _frame):
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    serve(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))

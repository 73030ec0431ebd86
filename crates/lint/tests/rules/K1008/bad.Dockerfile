FROM python:3.14
RUN . /venv/bin/activate
RUN pip install --no-cache-dir flask==3.1

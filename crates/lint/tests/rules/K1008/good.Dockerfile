FROM python:3.14
ENV PATH=/venv/bin:$PATH
RUN pip install --no-cache-dir flask==3.1

FROM debian:12
# the program
COPY app.py /app/

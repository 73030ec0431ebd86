FROM debian:12
ADD f.py /x

FROM debian:12
ADD x.py /x

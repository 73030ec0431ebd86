FROM debian:12
RUN echo "<a href="index">" > /index.html

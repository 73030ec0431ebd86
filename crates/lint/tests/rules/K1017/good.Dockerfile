FROM debian:12
COPY key.asc /etc/apt/keyrings/example.asc
RUN echo 'deb [signed-by=/etc/apt/keyrings/example.asc] https://example.com/debian stable main' > /etc/apt/sources.list.d/example.list

# tools
RUN sudo make

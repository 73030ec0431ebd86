FROM a:1
MAINTAINER x
RUN wget x
RUN curl x
RUN ln -s /bin/bash /bin/sh
RUN ln -sf /bin/bash /bin/sh && x
RUN ln /bin/sh /x
FROM b:1
RUN wget x && curl y
RUN curl a
ONBUILD RUN wget x
RUN wget a | b

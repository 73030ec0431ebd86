FROM a:1
RUN a # foo \
   && sudo b
RUN a \
   # foo
   && sudo b

   # foo

RUN a \

   && sudo b

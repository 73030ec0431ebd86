FROM a:1
RUN gem install --no-document a b
RUN gem install a --no-document
RUN gem install --foo a
RUN gem install -N a
RUN gem install --no-ri a
RUN gem install --foo a b
RUN gem install a --foo b
RUN gem install -n /x a
RUN gem install --version 1 a
RUN gem install -v 1 a
RUN gem install a b --no-document
RUN gem install --conservative a

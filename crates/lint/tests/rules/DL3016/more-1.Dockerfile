FROM a:1
RUN npm install a
RUN npm install a@1
RUN npm install @x/a
RUN npm install @x/a@1
RUN npm install
RUN npm i a
RUN npm install -g a
RUN npm install git://x/y
RUN npm install git+ssh://x/y#1
RUN npm install x.tgz
RUN npm install x.tar
RUN npm install ./x
RUN npm install /x
RUN npm install ../x
RUN npm install x/y
RUN npm install --registry x a@1
RUN npm install $x
RUN npm -g install a
RUN npm run install a
RUN npm install . 
RUN npm install ~/x
RUN npm install github:x/y
RUN npm install x.tar.gz
RUN npm ci
RUN npm install https://x/y.git
RUN npm install a@latest
RUN npm --loglevel warn install a@1
RUN npm add a
RUN npm install --save-dev a@1 b

FROM a:1
ADD a.tar. zz
ADD a.7z zz
ADD a.apk zz
ADD a.gz zz
ADD a.lz zz
ADD a.lzma zz
ADD a.bz2 zz
ADD a.tb2 zz
ADD a.tbz zz
ADD a.tbz2 zz
ADD a.tlz zz
ADD a.tpz zz
ADD a.txz zz
ADD a.tZ zz
ADD a.tzst zz
ADD a.zst zz
ADD a.bz zz
ADD a.cpio zz
ADD a.rar zz
ADD a.tar.7z zz
ADD a.tar.Z zz
ADD a.zip zz
ADD ftp://x/y zz
ADD git@x:y zz
ADD https://x/y.git zz
ADD "a.tar" zz
ADD 'a.tar' zz
ADD a.tar a zz
ADD http://x a zz
ADD $x zz
ADD a.tar* zz
ADD a.jar zz
ADD a.TAR zz
ADD ["a.tar","b"]
ADD --chown=a:b a bb
ONBUILD ADD a bb
ADD HTTP://x zz

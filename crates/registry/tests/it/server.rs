//! An HTTP server whose answers are closures over the raw connection, so that it can break any rule.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// `GET /v2/a/b`, without query.
    pub(crate) fn line(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    /// The first byte that a `Range` header asks for.
    pub(crate) fn from(&self) -> usize {
        let range = self.header("range").unwrap_or("bytes=0-");
        range
            .trim_start_matches("bytes=")
            .trim_end_matches('-')
            .parse()
            .unwrap()
    }
}

/// The connection, to answer on.
pub(crate) struct Wire {
    stream: TcpStream,
    closed: bool,
}

impl Wire {
    /// A whole answer.
    pub(crate) fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        self.head(status, headers, Some(body.len()));
        self.raw(body);
    }

    /// The head of an answer; without `length` it ends with the connection.
    pub(crate) fn head(&mut self, status: u16, headers: &[(&str, &str)], length: Option<usize>) {
        let length_or_end = match length {
            Some(length) => format!("Content-Length: {length}\r\n\r\n"),
            None => "Connection: close\r\n\r\n".to_owned(),
        };
        let mut lines = vec![format!("HTTP/1.1 {status} X\r\n")];
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        let text = lines.concat() + &length_or_end;
        self.raw(text.as_bytes());
        self.closed |= length.is_none();
    }

    /// Bytes as they are. A client that has gone away is no failure of the server.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes));
    }

    /// Says nothing until the client has gone.
    pub(crate) fn silence(&mut self) {
        drop(io::copy(&mut self.stream, &mut io::sink()));
        self.closed = true;
    }

    /// Ends the connection.
    pub(crate) fn cut(&mut self) {
        drop(self.stream.shutdown(Shutdown::Both));
        self.closed = true;
    }
}

type Handler = dyn Fn(&Request, &mut Wire) + Send + Sync;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// `GET /v2/` is answered with 200 before `handler` is asked for the rest.
    pub(crate) fn start(handler: impl Fn(&Request, &mut Wire) + Send + Sync + 'static) -> Self {
        Self::bare(move |request, wire| match request.line().as_str() {
            "GET /v2/" => wire.answer(200, &[], b"{}"),
            _ => handler(request, wire),
        })
    }

    /// Everything is for `handler`.
    pub(crate) fn bare(handler: impl Fn(&Request, &mut Wire) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let (log, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
                thread::spawn(move || serve(stream.unwrap(), &*handler, &log));
            }
        });
        Self {
            address,
            requests,
            stop,
        }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was asked so far, but for the question whether anybody is there.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let all = self.requests.lock().unwrap();
        all.iter().filter(|r| r.line() != "GET /v2/").cloned().collect()
    }

    /// The same, as lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, handler: &Handler, log: &Mutex<Vec<Request>>) {
    stream.set_nodelay(true).unwrap();
    let mut wire = Wire {
        stream: stream.try_clone().unwrap(),
        closed: false,
    };
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        log.lock().unwrap().push(request.clone());
        handler(&request, &mut wire);
        if wire.closed {
            break;
        }
    }
    wire.cut();
}

/// `None` at the end of the connection and for what is no HTTP (the beginning of TLS).
fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    if *reader.fill_buf().ok()?.first()? == 0x16 {
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Vec::new(),
    };
    let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    let mut have = 0;
    while have < length {
        match reader.read(&mut body[have..]) {
            Ok(count) if count > 0 => have += count,
            _ => break,
        }
    }
    body.truncate(have);
    request.body = body;
    Some(request)
}

//! An HTTP server whose answers are a function of the request, so that it can lie, break off and fall silent.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How many bytes of the announced body really come, and what follows; `None` for all, and the next request.
    broken: Option<(usize, Break)>,
}

/// How an answer breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The connection ends.
    Cut,
    /// Nothing comes any more, and the connection stays.
    Silence,
    /// Not even a head comes, nor is the request's body read.
    NoWord,
}

impl Answer {
    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            broken: None,
        }
    }

    /// 200 with a body of a type.
    pub fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(content_type, body)
    }

    /// With a body of a type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// With another status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Broken off after so many bytes of the body.
    #[must_use]
    pub fn broken(mut self, after: usize, how: Break) -> Self {
        self.broken = Some((after, how));
        self
    }
}

/// The head of a request.
#[derive(Debug, Default)]
pub struct Head {
    /// `GET`, …
    pub method: String,
    /// With its query.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Names and values.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    fn length(&self) -> io::Result<u64> {
        let length = self.header("content-length").unwrap_or("0");
        length.parse().map_err(io::Error::other)
    }
}

/// Gives the answer to a request, of whose body it may read what it likes.
type Handler = dyn Fn(&Head, &mut dyn Read) -> io::Result<Answer> + Send + Sync;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts one on a free loopback port, which gives its answer to a method and a path with its query.
    pub fn start(handler: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Result<Self> {
        Self::reading(move |head, _| Ok(handler(&head.method, &head.path)))
    }

    /// The same for answers that depend on what was sent.
    pub fn reading(
        handler: impl Fn(&Head, &mut dyn Read) -> io::Result<Answer> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let server = Self {
            address: listener.local_addr()?,
            stop: Arc::default(),
            requests: Arc::default(),
        };
        let (stop, requests) = (Arc::clone(&server.stop), Arc::clone(&server.requests));
        let handler: Arc<Handler> = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, requests) = (Arc::clone(&handler), Arc::clone(&requests));
                // A client that goes away is no failure of the server.
                thread::spawn(move || drop(serve(&stream, &*handler, &requests)));
            }
        });
        Ok(server)
    }

    /// Host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `GET /path` of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: &TcpStream, handler: &Handler, requests: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(head) = read_head(&mut reader)? {
        let mut body = reader.by_ref().take(head.length()?);
        let answer = handler(&head, &mut body)?;
        requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{} {}", head.method, head.path));
        let broken = answer.broken.map(|(_, how)| how);
        if broken != Some(Break::NoWord) {
            io::copy(&mut body, &mut io::sink())?;
            write(stream, &answer, head.method == "HEAD")?;
        }
        match broken {
            None => {}
            Some(Break::Cut) => return stream.shutdown(Shutdown::Both),
            Some(Break::Silence | Break::NoWord) => return io::copy(&mut reader, &mut io::sink()).map(drop),
        }
    }
    Ok(())
}

/// `None` at the end of the connection.
fn read_head(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Head>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(Some(Head { method, path, headers }));
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn write(mut stream: &TcpStream, answer: &Answer, head_only: bool) -> io::Result<()> {
    let mut lines = vec![
        format!("HTTP/1.1 {} X\r\n", answer.status),
        format!("Content-Length: {}\r\n", answer.body.len()),
    ];
    lines.extend(
        answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n")),
    );
    lines.push("\r\n".to_owned());
    stream.write_all(lines.concat().as_bytes())?;
    if head_only {
        return Ok(());
    }
    let count = answer.broken.map_or(answer.body.len(), |(after, _)| after);
    stream.write_all(&answer.body[..count.min(answer.body.len())])
}

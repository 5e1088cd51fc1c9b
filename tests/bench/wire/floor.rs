//! The floor: what a job costs at least. It says the commands of a script in as few flights as the script has stages,
//! reads what comes, and keeps nothing but, if asked, the bodies: each in a file as it came, flushed once at the end.
//!
//! A script is JSON: `{"protocol": "imap" | "pop3", "connections": [[[COMMAND, …], …], …]}`, a list of stages for each
//! connection. All commands of a stage are sent at once; the next stage waits for all their replies. IMAP commands get
//! their tags here and hold their literals (LITERAL+ only). A refusal ends it: a floor that fails measures nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use native_tls::{Certificate, TlsConnector, TlsStream};
use serde::Deserialize;

use super::Result;

#[derive(Deserialize)]
struct Script {
    protocol: Protocol,
    connections: Vec<Vec<Vec<String>>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Imap,
    Pop3,
}

type Server = BufReader<TlsStream<TcpStream>>;

pub fn run(port: u16, ca: &str, script: &str, dir: Option<&str>) -> Result<()> {
    let script: Script = serde_json::from_slice(&std::fs::read(script)?)?;
    let bodies = Bodies { dir: dir.map(PathBuf::from), made: AtomicUsize::new(0) };
    let authority = Certificate::from_pem(&std::fs::read(ca)?)?;
    let tls = TlsConnector::builder().disable_built_in_roots(true).add_root_certificate(authority).build()?;
    std::thread::scope(|scope| {
        let talk = |stages| talk(port, &tls, script.protocol, stages, &bodies);
        let talks: Vec<_> = script.connections.iter().map(|stages| scope.spawn(move || talk(stages))).collect();
        talks.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a connection's thread ended early")?)
    })?;
    if let Some(dir) = &bodies.dir {
        rustix::fs::syncfs(File::open(dir)?)?;
    }
    Ok(())
}

/// Where bodies go.
struct Bodies {
    dir: Option<PathBuf>,
    made: AtomicUsize,
}

impl Bodies {
    fn start(&self) -> Result<Option<File>> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Ok(self.dir.as_deref().map(|dir: &Path| File::create(dir.join(number.to_string()))).transpose()?)
    }
}

fn talk(port: u16, tls: &TlsConnector, protocol: Protocol, stages: &[Vec<String>], bodies: &Bodies) -> Result<()> {
    let tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_nodelay(true)?;
    let mut server = BufReader::with_capacity(64 << 10, tls.connect("localhost", tcp)?);
    let mut line = Vec::new();
    read_line(&mut server, &mut line)?;
    let mut tag = 0;
    for commands in stages {
        let mut flight = Vec::new();
        for command in commands {
            if let Protocol::Imap = protocol {
                tag += 1;
                write!(flight, "A{tag} ")?;
            }
            flight.extend_from_slice(command.as_bytes());
            flight.extend_from_slice(b"\r\n");
        }
        server.get_mut().write_all(&flight)?;
        for command in commands {
            match protocol {
                Protocol::Imap => imap_reply(&mut server, &mut line, bodies)?,
                Protocol::Pop3 => pop3_reply(&mut server, &mut line, command, bodies)?,
            }
        }
    }
    Ok(())
}

fn read_line(server: &mut Server, line: &mut Vec<u8>) -> Result<()> {
    line.clear();
    server.read_until(b'\n', line)?;
    if line.ends_with(b"\n") { Ok(()) } else { Err("the server hung up".into()) }
}

/// Reads up to a tagged reply, its untagged ones and their literals included.
fn imap_reply(server: &mut Server, line: &mut Vec<u8>, bodies: &Bodies) -> Result<()> {
    loop {
        read_line(server, line)?;
        if line.starts_with(b"A") {
            let mut words = line.split(|b| *b == b' ');
            return if words.nth(1) == Some(b"OK") { Ok(()) } else { Err(refusal(line)) };
        }
        while let Some(octets) = literal(line) {
            take(server, octets, bodies)?;
            read_line(server, line)?;
        }
    }
}

/// The length of the literal that a line ends with.
fn literal(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    let at = line.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(line.get(at + 1..)?).ok()?.parse().ok()
}

fn take(server: &mut Server, mut octets: u64, bodies: &Bodies) -> Result<()> {
    let mut file = bodies.start()?;
    while octets > 0 {
        let there = server.fill_buf()?;
        let now = there.len().min(usize::try_from(octets)?);
        let piece = there.get(..now).unwrap_or_default();
        if piece.is_empty() {
            return Err("the server hung up inside a message".into());
        }
        if let Some(file) = &mut file {
            file.write_all(piece)?;
        }
        server.consume(now);
        octets -= now as u64;
    }
    Ok(())
}

/// Reads one reply; a message's dots are undone, other listings pass.
fn pop3_reply(server: &mut Server, line: &mut Vec<u8>, command: &str, bodies: &Bodies) -> Result<()> {
    read_line(server, line)?;
    if !line.starts_with(b"+OK") {
        return Err(refusal(line));
    }
    let message = command.starts_with("RETR");
    if !message && !["UIDL", "LIST", "CAPA"].contains(&command) {
        return Ok(());
    }
    let mut body = Vec::new();
    loop {
        let from = body.len();
        server.read_until(b'\n', &mut body)?;
        match body.get(from..).unwrap_or_default() {
            b".\r\n" => break,
            dotted if dotted.starts_with(b".") => drop(body.remove(from)),
            line if line.ends_with(b"\n") => {}
            _ => return Err("the server hung up inside a reply".into()),
        }
        if !message {
            body.clear();
        }
    }
    if message && let Some(mut file) = bodies.start()? {
        body.truncate(body.len() - 3);
        file.write_all(&body)?;
    }
    Ok(())
}

fn refusal(line: &[u8]) -> Box<dyn std::error::Error + Send + Sync> {
    format!("the server refuses: {}", String::from_utf8_lossy(line).trim_end().escape_debug()).into()
}

//! The scripted server's side of a connection: octets out, commands in, TLS in between.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use openssl::ssl::{SslAcceptor, SslStream};

/// A connection, protected or not.
pub enum Line {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl Line {
    pub fn is_protected(&self) -> bool {
        matches!(self, Line::Tls(_))
    }

    pub fn socket(&self) -> &TcpStream {
        match self {
            Line::Plain(tcp) => tcp,
            Line::Tls(tls) => tls.get_ref(),
        }
    }

    /// Says no more, so that the client sees the end behind the last octet.
    pub fn hang_up(&mut self) {
        if let Line::Tls(tls) = self {
            let _ = tls.shutdown();
        }
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Read for Line {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(tcp) => tcp.read(buf),
            Line::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Line {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Line::Plain(tcp) => tcp.write(buf),
            Line::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// An atom, or a quoted string without its quotes.
    Text(Vec<u8>),
    Literal(Vec<u8>),
    /// What stands in parentheses, as it came.
    List(String),
}

impl Argument {
    /// Each octet as the character of its number, so that none is lost.
    pub fn text(&self) -> String {
        match self {
            Argument::Text(text) | Argument::Literal(text) => text.iter().copied().map(char::from).collect(),
            Argument::List(list) => list.clone(),
        }
    }
}

/// A command with its literals.
#[derive(Debug, Clone, Default)]
pub struct Command {
    pub tag: String,
    /// The line in one, literals included.
    pub shown: String,
    pub arguments: Vec<Argument>,
}

/// Reads commands and, for literals that wait for it, says `+`.
pub struct Reader {
    pub line: Line,
    buffer: Vec<u8>,
}

impl Reader {
    pub fn new(line: Line) -> Reader {
        Reader { line, buffer: Vec::new() }
    }

    /// Shakes hands; `None` when that failed.
    pub fn protect(self, acceptor: &SslAcceptor) -> Option<Reader> {
        match self.line {
            Line::Plain(tcp) => acceptor.accept(tcp).ok().map(|tls| Reader::new(Line::Tls(Box::new(tls)))),
            tls @ Line::Tls(_) => Some(Reader::new(tls)),
        }
    }

    fn more(&mut self) -> Option<()> {
        let mut piece = [0; 8192];
        let read = self.line.read(&mut piece).ok().filter(|n| *n > 0)?;
        self.buffer.extend_from_slice(&piece[..read]);
        Some(())
    }

    /// A line without its end.
    pub fn read_line(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=at).collect();
                line.pop();
                line.pop_if(|b| *b == b'\r');
                return Some(line);
            }
            self.more()?;
        }
    }

    fn read_octets(&mut self, octets: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < octets {
            self.more()?;
        }
        Some(self.buffer.drain(..octets).collect())
    }

    /// The next command; `may_go_on` is told its tag and what there is of it when a literal waits for `+`.
    pub fn command(&mut self, mut may_go_on: impl FnMut(&mut Line, &str, &str) -> bool) -> Option<Command> {
        let mut command = Command::default();
        let mut first = true;
        loop {
            let line = self.read_line()?;
            let (text, literal) = match announced(&line) {
                Some((before, octets, waits)) => (&line[..before], Some((octets, waits))),
                None => (&line[..], None),
            };
            let mut text = String::from_utf8_lossy(text).into_owned();
            command.shown.push_str(&text);
            if std::mem::take(&mut first) {
                let (tag, rest) = text.split_once(' ').unwrap_or((&text, ""));
                command.tag = tag.to_owned();
                command.shown = rest.to_owned();
                text = rest.to_owned();
            }
            split(&text, &mut command.arguments);
            let Some((octets, waits)) = literal else { return Some(command) };
            if waits && !may_go_on(&mut self.line, &command.tag, &command.shown) {
                return Some(Command { arguments: Vec::new(), ..command });
            }
            let octets = self.read_octets(octets)?;
            command.shown.push_str(&String::from_utf8_lossy(&octets));
            command.arguments.push(Argument::Literal(octets));
        }
    }

    /// Hears the client out.
    pub fn listen(&mut self) {
        while self.more().is_some() {
            self.buffer.clear();
        }
    }
}

/// Where `{n}` or `{n+}` begins, how long it is, and whether it waits.
fn announced(line: &[u8]) -> Option<(usize, usize, bool)> {
    let text = line.strip_suffix(b"}")?;
    let at = text.iter().rposition(|b| *b == b'{')?;
    let digits = std::str::from_utf8(&text[at + 1..]).ok()?;
    Some((at, digits.trim_end_matches('+').parse().ok()?, !digits.ends_with('+')))
}

fn split(text: &str, into: &mut Vec<Argument>) {
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let used = match first {
            '"' => {
                let (mut out, mut used, mut escaped) = (String::new(), 1, false);
                for c in rest[1..].chars() {
                    used += c.len_utf8();
                    match c {
                        '"' if !escaped => break,
                        '\\' if !escaped => escaped = true,
                        c => {
                            escaped = false;
                            out.push(c);
                        }
                    }
                }
                into.push(Argument::Text(out.into_bytes()));
                used
            }
            '(' => {
                let mut depth = 0;
                let end = rest.char_indices().find(|(_, c)| {
                    depth += i32::from(*c == '(') - i32::from(*c == ')');
                    depth == 0
                });
                let end = end.map_or(rest.len(), |(at, _)| at + 1);
                let inside = &rest[1..end];
                into.push(Argument::List(inside.strip_suffix(')').unwrap_or(inside).to_owned()));
                end
            }
            _ => {
                let end = rest.find(' ').unwrap_or(rest.len());
                into.push(Argument::Text(rest.as_bytes()[..end].to_vec()));
                end
            }
        };
        rest = rest[used..].trim_start();
    }
}

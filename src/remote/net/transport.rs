//! One connection: a socket, TLS or not, deflate or not, driven both ways by one thread.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use native_tls::TlsStream;

use super::certificate::{Doubt, Shown};
use super::compress::Deflate;
use super::dial::{LATER, dial, seconds};
use super::options::{ServerOptions, TlsMode};
use super::pace::Pace;
use super::socket::Socket;
use super::{Connector, Exchange, Meter, OutBuffer, Protection, Until, tls};
use crate::error::{Error, Kind, Result};
use crate::faults::{self, Heard};
use crate::stop::Stop;

/// How much one call takes in before the caller gets to see it.
const BURST: usize = 64 * 1024;
/// How much input may come while only room for output is wanted.
const UNASKED: usize = 4 * 1024 * 1024;
/// One `read` without TLS.
const PIECE: usize = 32 * 1024;
/// And with it: a record (RFC 8446 §5.1), more is never given.
const RECORD: usize = 16 * 1024;

/// One TCP connection to a server, with whatever protects and compresses it.
pub struct Transport {
    stream: Stream,
    deflate: Option<Deflate>,
    meter: Meter,
    stop: Stop,
    server: ServerOptions,
    /// Something was sent since the last counted wait.
    owed: bool,
    pace: Pace,
    /// The line ended, whoever ended it.
    ended: bool,
}

enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
    /// A handshake failed; there is nothing left to speak through.
    Gone,
}

/// What one round of reading came to.
enum Flow {
    /// Nothing more is there now.
    Blocked,
    /// There may be more right away.
    More,
    /// The server closed its side.
    Ended,
}

impl Transport {
    /// Connects to the server, without TLS yet.
    ///
    /// # Errors
    /// Kind `Unreachable`: unknown host, refused, no answer in time. Kind `Interrupted` when `stop` says so.
    pub fn connect(server: &ServerOptions, meter: &Meter, stop: &Stop) -> Result<Transport> {
        let tcp = dial(server, stop).map_err(|e| e.at(server))?;
        Ok(Transport {
            stream: Stream::Plain(Socket::new(tcp)),
            deflate: None,
            meter: meter.clone(),
            stop: stop.clone(),
            server: server.clone(),
            owed: false,
            pace: Pace::default(),
            ended: false,
        })
    }

    /// Makes the connection a TLS one: handshake, then the certificate, name and pin as `connector` wants them.
    ///
    /// # Errors
    /// Kind `Tls` when the certificate is refused or no TLS comes about, `Unreachable` when the line is cut or silent.
    /// The connection is of no use then. With [`TlsMode::Implicit`] a refused certificate is described.
    pub fn start_tls(&mut self, connector: &Connector, host: &str) -> Result<()> {
        let socket = self.take_socket()?;
        let stream = tls::handshake(socket, connector, host, self.server.timeout, &self.stop)
            .map_err(|e| self.here(self.with_certificate(e, host)))?;
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Says of a refused certificate what it holds. A failed handshake keeps it to itself, so it takes a second
    /// connection, on which nothing is said; where TLS is not the first thing, only who knows the protocol can make one.
    fn with_certificate(&self, refused: Error, host: &str) -> Error {
        match Doubt::behind(&refused) {
            Some(doubt) if self.server.tls == TlsMode::Implicit => {
                let second = Transport::connect(&self.server, &self.meter, &self.stop);
                let shown = second.and_then(|transport| transport.look_at_certificate(host));
                doubt.refusal(&self.server, shown.ok().as_ref())
            }
            _ => refused,
        }
    }

    /// Ends the connection in a TLS handshake that believes anything, to tell what certificate the server shows.
    pub(in crate::remote) fn look_at_certificate(mut self, host: &str) -> Result<Shown> {
        let socket = self.take_socket()?;
        tls::look(socket, host, self.server.timeout, &self.stop).map_err(|e| self.here(e))
    }

    fn take_socket(&mut self) -> Result<Socket> {
        match std::mem::replace(&mut self.stream, Stream::Gone) {
            Stream::Plain(socket) => Ok(socket),
            Stream::Tls(_) | Stream::Gone => {
                Err(self.here(Error::new(Kind::Protocol, "TLS cannot be started twice on one connection")))
            }
        }
    }

    /// Compresses from here on (RFC 4978); `received` came after the server's OK and is compressed already.
    ///
    /// Everything sent before has to be out: `exchange` with [`Until::OutputBelow`] 0.
    ///
    /// # Errors
    /// Kind `Protocol` when the layer is there already.
    pub fn start_deflate(&mut self, received: Vec<u8>) -> Result<()> {
        if self.deflate.is_some() {
            return Err(self.here(Error::new(Kind::Protocol, "Compression cannot be started twice on one connection")));
        }
        self.deflate = Some(Deflate::new(received));
        Ok(())
    }

    /// What protects the connection; `None` without TLS.
    pub fn protection(&self) -> Option<Protection> {
        match &self.stream {
            Stream::Tls(stream) => tls::protection(stream),
            Stream::Plain(_) | Stream::Gone => None,
        }
    }

    /// Whether the server is this machine, so that nobody on the way can listen.
    pub fn peer_is_loopback(&mut self) -> bool {
        self.stream.socket().is_some_and(|s| s.peer_is_loopback())
    }

    fn send(&mut self, output: &mut OutBuffer) -> Result<()> {
        loop {
            let wire = match &mut self.deflate {
                None => &mut *output,
                Some(deflate) => {
                    deflate.compress(output)?;
                    &mut deflate.wire
                }
            };
            if wire.is_empty() {
                return Ok(());
            }
            // TLS wants the same octets again after it blocked: the front of an `OutBuffer` stays as it is.
            let sent = faults::send().and_then(|()| self.stream.write(faults::piece(wire.as_slice())));
            match sent {
                Ok(0) => return Err(self.closed(None)),
                Ok(sent) => {
                    wire.consume(sent);
                    self.meter.count_sent(sent);
                    self.owed = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.closed(Some(error))),
            }
        }
    }

    fn receive(&mut self, input: &mut Vec<u8>) -> Result<Flow> {
        let start = input.len();
        loop {
            let room = BURST.saturating_sub(input.len() - start);
            if room == 0 {
                return Ok(Flow::More);
            }
            let into = match &mut self.deflate {
                None => &mut *input,
                Some(deflate) if deflate.is_ended() => return Ok(Flow::Ended),
                Some(deflate) if deflate.is_drained() => &mut deflate.raw,
                Some(deflate) => {
                    deflate.inflate(input, room)?;
                    continue;
                }
            };
            match self.stream.fill(into) {
                Ok(0) => return Ok(Flow::Ended),
                Ok(received) => {
                    self.meter.count_received(received);
                    match faults::heard(into) {
                        Ok(Heard::Line) => return Ok(Flow::More),
                        Ok(Heard::GoOn) => {}
                        Err(error) => return Err(self.closed(Some(error))),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flow::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.closed(Some(error))),
            }
        }
    }

    fn waiting(&self, output: &OutBuffer) -> usize {
        output.len() + self.deflate.as_ref().map_or(0, |d| d.wire.len())
    }

    fn here(&self, error: Error) -> Error {
        error.at(&self.server)
    }

    fn closed(&mut self, cause: Option<io::Error>) -> Error {
        self.ended = true;
        let error = match cause {
            None => Error::new(Kind::Unreachable, "The connection was closed by the server"),
            Some(cause) => tls::said_no(&cause.to_string())
                .unwrap_or_else(|| Error::new(Kind::Unreachable, "The connection was lost"))
                // As text: OpenSSL's errors repeat themselves as their own cause.
                .because(cause.to_string()),
        };
        self.here(if error.kind() == Kind::Unreachable { error.worth_retrying() } else { error })
    }

    /// The error for a connection that ended in `why` before the server said a word. `ports` are the usual ones, with TLS
    /// from the start and without: a server that waits for a handshake is silent, one that hangs up is not at the wrong port.
    pub fn ungreeted(&self, why: &Error, (with_tls, without): (u16, u16)) -> Error {
        let error = match self.ended {
            true => Error::new(Kind::Unreachable, "The server closed the connection before its greeting").hint(LATER),
            false => Error::new(Kind::Unreachable, "The connection stands, but no greeting came").hint(format!(
                "Does the port fit `tls`? With TLS from the start (`tls = \"implicit\"`) it is usually {with_tls}, else \
                 {without}."
            )),
        };
        error.because(why.what()).worth_retrying()
    }

    fn silent(&self) -> Error {
        self.here(
            Error::new(Kind::Unreachable, format!("The server was silent for {}", seconds(self.server.timeout)))
                .hint("Try again later, or set a longer `timeout`.")
                .worth_retrying(),
        )
    }

    /// Another try would take as long; nor is it the fault of what was asked for.
    fn crawls(&self, octets: usize, time: Duration) -> Error {
        let what = format!("The server sent {octets} octets in {} s of waiting", time.as_secs());
        self.here(
            Error::new(Kind::Unreachable, what)
                .hint("Try again later, or set a longer `timeout`: ten times as long is waited for 10 kB."),
        )
    }
}

impl Exchange for Transport {
    fn exchange(&mut self, output: &mut OutBuffer, input: &mut Vec<u8>, until: Until) -> Result<()> {
        let start = input.len();
        let (mut moved, mut since) = (self.stream.moved(), Instant::now());
        loop {
            self.stop.check()?;
            let sent = self.send(output);
            let before = input.len();
            let received = self.receive(input);
            self.pace.heard(input.get(before..).unwrap_or_default());
            // Before any error: a server that says BYE and hangs up is heard first, one that answers LOGOUT by hanging
            // up did what was wanted.
            match until {
                Until::InputArrives if input.len() > start => return Ok(()),
                Until::OutputBelow(most) if sent.is_ok() && self.waiting(output) <= most => return Ok(()),
                Until::InputArrives | Until::OutputBelow(_) => {}
            }
            sent?;
            match received? {
                Flow::Ended => return Err(self.closed(None)),
                _ if input.len() - start > UNASKED => {
                    return Err(self.here(Error::new(Kind::Protocol, "The server sends without end and takes nothing")));
                }
                Flow::More => continue,
                Flow::Blocked => {}
            }
            if self.stream.moved() != moved {
                (moved, since) = (self.stream.moved(), Instant::now());
            }
            let left = self.server.timeout.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(self.silent());
            }
            if let Some((octets, time)) = self.pace.crawls(self.server.timeout) {
                return Err(self.crawls(octets, time));
            }
            if self.owed && self.waiting(output) == 0 {
                self.meter.count_wait();
                self.owed = false;
            }
            let waiting = Instant::now();
            self.stream.wait(self.stop.slice(left)).map_err(|e| self.closed(Some(e)))?;
            self.pace.waited(waiting.elapsed());
        }
    }
}

impl Stream {
    fn socket(&mut self) -> Option<&mut Socket> {
        match self {
            Stream::Plain(socket) => Some(socket),
            Stream::Tls(tls) => Some(tls.get_mut()),
            Stream::Gone => None,
        }
    }

    fn moved(&mut self) -> u64 {
        self.socket().map_or(0, |s| s.moved())
    }

    fn wait(&mut self, most: Duration) -> io::Result<()> {
        self.socket().map_or(Ok(()), |s| s.wait(most))
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(octets),
            Stream::Tls(tls) => tls.write(octets),
            Stream::Gone => Ok(0),
        }
    }

    /// Appends what one `read` gives.
    fn fill(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let start = into.len();
        let most = if matches!(self, Stream::Tls(_)) { RECORD } else { PIECE };
        into.resize(start + faults::at_once(most), 0);
        let room = into.get_mut(start..).unwrap_or_default();
        let result = match self {
            Stream::Plain(socket) => socket.read(room),
            Stream::Tls(tls) => tls.read(room),
            Stream::Gone => Ok(0),
        };
        into.truncate(start + result.as_ref().map_or(0, |n| *n));
        result
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transport({})", self.server)
    }
}

#[cfg(test)]
mod tests;

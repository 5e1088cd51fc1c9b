//! From a host's name to a connected, non-blocking socket.
//!
//! Addresses are tried in the resolver's order, the next one 250 ms after the last (RFC 8305) or as soon as the last
//! one failed, so that a dead IPv6 route costs a quarter of a second and not the whole timeout. The first that answers
//! wins.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketType, connect as begin_connect, socket, sockopt};

use super::options::{ServerOptions, TlsMode};
use super::socket::poll_for;
use crate::error::{Error, Kind, Result};
use crate::stop::Stop;

/// How long one address has for itself before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// What to do about a server that hangs up before it has said or agreed on anything.
pub(super) const LATER: &str = "It may be starting, shutting down or overloaded: try again later.";

/// Connects to the server; the errors name no place, the caller does.
pub(super) fn dial(server: &ServerOptions, stop: &Stop) -> Result<TcpStream> {
    let addresses = resolve(server.bare_host(), server.port, server.timeout, stop)?;
    race(&addresses, server, stop)
}

/// The addresses of `host`, in the system's order; at least one.
///
/// # Errors
/// Kind `Unreachable`: the name is unknown, or no answer came within `timeout`.
pub fn resolve(host: &str, port: u16, timeout: Duration, stop: &Stop) -> Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (answer, result) = mpsc::sync_channel(1);
    let name = host.to_owned();
    // Not joined: getaddrinfo(3) can neither be given a timeout nor be cancelled. The thread owns its name only, sends
    // into a channel that may be gone, and ends when the resolver gives up.
    std::thread::Builder::new()
        .name("resolve".into())
        .spawn(move || {
            let _ = answer.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
        })
        .map_err(|e| Error::new(Kind::Unreachable, "No thread for the name resolution").because(e))?;
    let start = Instant::now();
    loop {
        stop.check()?;
        let left = timeout.saturating_sub(start.elapsed());
        match result.recv_timeout(stop.slice(left)) {
            Ok(Ok(addresses)) if !addresses.is_empty() => return Ok(addresses),
            Ok(Ok(_)) => return Err(unknown_host(host, None)),
            Ok(Err(error)) => return Err(unknown_host(host, Some(error))),
            Err(RecvTimeoutError::Disconnected) => return Err(unknown_host(host, None)),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                return Err(Error::new(
                    Kind::Unreachable,
                    format!("The name `{host}` was not resolved within {}", seconds(timeout)),
                )
                .hint("Check the network and its name server, or set a longer `timeout`.")
                .worth_retrying());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn unknown_host(host: &str, cause: Option<io::Error>) -> Error {
    // EAI_AGAIN has no `ErrorKind`; its words are the C library's.
    let passing = cause.as_ref().is_some_and(|e| e.to_string().contains("Temporary failure"));
    let mut error = Error::new(Kind::Unreachable, format!("The host `{host}` is unknown")).hint(format!(
        "Check `host`, and whether this machine is online: `getent hosts {host}` has to print an address."
    ));
    if let Some(cause) = cause {
        error = error.because(cause);
    }
    if passing { error.worth_retrying() } else { error }
}

struct Attempt {
    to: SocketAddr,
    fd: OwnedFd,
}

fn race(addresses: &[SocketAddr], server: &ServerOptions, stop: &Stop) -> Result<TcpStream> {
    let start = Instant::now();
    let mut untried = addresses.iter();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut next = start;
    let mut worst: Option<(SocketAddr, io::Error)> = None;
    loop {
        stop.check()?;
        let now = Instant::now();
        let left = server.timeout.saturating_sub(now - start);
        if left.is_zero() {
            return Err(too_slow(server));
        }
        if (attempts.is_empty() || now >= next)
            && let Some(&to) = untried.next()
        {
            match begin(to) {
                Ok(fd) => attempts.push(Attempt { to, fd }),
                Err(error) => note(&mut worst, to, error),
            }
            next = now + STAGGER;
            continue;
        }
        if attempts.is_empty() {
            return Err(failed(server, worst));
        }
        let until_next = if untried.len() == 0 { left } else { next.saturating_duration_since(now) };
        match wait_for_any(&mut attempts, stop.slice(left.min(until_next)), &mut worst) {
            Ok(None) => {}
            Ok(Some(fd)) => {
                let tcp = TcpStream::from(fd);
                // Without it the socket still works, only slower.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(error) => return Err(Error::new(Kind::Unreachable, "Waiting for the network failed").because(error)),
        }
    }
}

fn begin(to: SocketAddr) -> io::Result<OwnedFd> {
    let family = if to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let fd = socket(family, SocketType::STREAM, None)?;
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&fd, true)?;
    match begin_connect(&fd, &to) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(fd),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits until one attempt is connected and gives it; failed ones are taken out.
fn wait_for_any(
    attempts: &mut Vec<Attempt>,
    most: Duration,
    worst: &mut Option<(SocketAddr, io::Error)>,
) -> io::Result<Option<OwnedFd>> {
    let mut fds: Vec<PollFd<'_>> = attempts.iter().map(|a| PollFd::new(&a.fd, PollFlags::OUT)).collect();
    poll_for(&mut fds, most)?;
    let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
    drop(fds);
    let mut winner = None;
    let mut kept = Vec::with_capacity(attempts.len());
    for (attempt, ready) in attempts.drain(..).zip(ready) {
        if !ready || winner.is_some() {
            kept.push(attempt);
            continue;
        }
        match sockopt::socket_error(&attempt.fd)? {
            Ok(()) => winner = Some(attempt.fd),
            Err(errno) => note(worst, attempt.to, errno.into()),
        }
    }
    *attempts = kept;
    Ok(winner)
}

/// Keeps the error that says most: a refusal comes from the host itself, anything else may be one dead route of two.
fn note(worst: &mut Option<(SocketAddr, io::Error)>, to: SocketAddr, error: io::Error) {
    let known = worst.as_ref().is_some_and(|(_, e)| e.kind() == io::ErrorKind::ConnectionRefused);
    if !known {
        *worst = Some((to, error));
    }
}

fn failed(server: &ServerOptions, worst: Option<(SocketAddr, io::Error)>) -> Error {
    let Some((to, cause)) = worst else { return too_slow(server) };
    let error = if cause.kind() == io::ErrorKind::ConnectionRefused {
        Error::new(Kind::Unreachable, format!("The connection to {to} was refused"))
            .hint(format!("Check `port` ({}) and whether the server runs.", usual_port(server.tls)))
    } else {
        Error::new(Kind::Unreachable, format!("No connection to {to}")).hint("Check the network.")
    };
    error.because(cause).worth_retrying()
}

fn too_slow(server: &ServerOptions) -> Error {
    Error::new(Kind::Unreachable, format!("No answer to the connection within {}", seconds(server.timeout)))
        .hint(format!(
            "Check `host`, `port` ({}), the network and its firewall, or set a longer `timeout`.",
            usual_port(server.tls)
        ))
        .worth_retrying()
}

fn usual_port(tls: TlsMode) -> &'static str {
    match tls {
        TlsMode::Implicit => "with TLS from the start usually 993 for IMAP, 995 for POP3",
        TlsMode::StartTls => "with STARTTLS usually 143 for IMAP, 110 for POP3",
        TlsMode::None => "usually 143 for IMAP, 110 for POP3",
    }
}

/// A duration as a person says it.
pub(super) fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

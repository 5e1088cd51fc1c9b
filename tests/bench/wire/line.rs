//! A line between a client and the server on loopback: octets as they are (TLS included), late, at most so many a
//! second, and counted.
//!
//! Delay: each octet arrives half a round trip after it was sent; the first of a connection come a round trip later
//! still, which is what opening a TCP connection costs. Bandwidth: one limit each way for all connections together.
//!
//! Counts, as the client sees them:
//! * `turns`: how often the client spoke after it had heard something (a change of direction), the first word included;
//! * `waits`: how often it spoke while nothing was on its way in either direction, that is, had waited for an answer.
//!   Only of use where there is a delay;
//! * `up`, `down`: octets; `connections`.
//!
//! On its input, one a line: `delay MILLISECONDS` (a round trip), `rate OCTETS_A_SECOND` (0: no limit), both for
//! connections to come; `reset`; `counts`, which prints the counts since the last reset as one JSON object.

use std::collections::VecDeque;
use std::io::{BufRead, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Result;

/// Octets on their way in one direction of a connection before the sender has to wait: more than TCP's window holds.
const MOST_ON_THE_WAY: usize = 32 << 20;

#[derive(Default, Clone, Copy)]
struct Counts {
    up: u64,
    down: u64,
    turns: u64,
    waits: u64,
    connections: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

struct Line {
    counts: Mutex<Counts>,
    manner: Mutex<(Duration, u64)>,
    /// When the line has carried all that it took so far, up and down.
    free: [Mutex<Instant>; 2],
}

/// One connection: what is on its way, and who was heard last.
struct Connection {
    opened: Instant,
    round_trip: Duration,
    rate: u64,
    last: Mutex<Way>,
    ways: [Pipe; 2],
}

#[derive(Default)]
struct Pipe {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    octets: usize,
    /// The receiver is gone.
    broken: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn run(server: u16) -> Result<()> {
    let now = Instant::now();
    let line = Arc::new(Line {
        counts: Mutex::default(),
        manner: Mutex::new((Duration::ZERO, 0)),
        free: [Mutex::new(now), Mutex::new(now)],
    });
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;
    let accepting = line.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Err(error) = accepting.carry(client, server) {
                super::log(&error.to_string());
            }
        }
    });
    for order in std::io::stdin().lock().lines() {
        line.obey(&order?)?;
    }
    Ok(())
}

impl Line {
    fn obey(&self, order: &str) -> Result<()> {
        match order.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["delay", milliseconds] => lock(&self.manner).0 = Duration::from_millis(super::number(milliseconds)?),
            ["rate", octets] => lock(&self.manner).1 = super::number(octets)?,
            ["reset"] => *lock(&self.counts) = Counts::default(),
            ["counts"] => {
                let Counts { up, down, turns, waits, connections } = *lock(&self.counts);
                let counts = serde_json::json!({
                    "up": up, "down": down, "turns": turns, "waits": waits, "connections": connections,
                });
                writeln!(std::io::stdout(), "{counts}")?;
            }
            _ => return Err(format!("`{order}` is no order").into()),
        }
        Ok(())
    }

    fn carry(self: &Arc<Line>, client: TcpStream, server: u16) -> Result<()> {
        let (round_trip, rate) = *lock(&self.manner);
        let server = TcpStream::connect(("127.0.0.1", server))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        lock(&self.counts).connections += 1;
        let connection = Arc::new(Connection {
            opened: Instant::now(),
            round_trip,
            rate,
            // So that the client's first word counts as a turn.
            last: Mutex::new(Way::Down),
            ways: Default::default(),
        });
        let ends = [(Way::Up, client.try_clone()?, server.try_clone()?), (Way::Down, server, client)];
        for (way, from, to) in ends {
            let (line, taken, given) = (self.clone(), connection.clone(), connection.clone());
            std::thread::spawn(move || taken.take(&line, way, from));
            std::thread::spawn(move || given.give(way, to));
        }
        Ok(())
    }

    /// When a piece that is taken now has left the line's bottleneck.
    fn through(&self, way: Way, octets: usize, rate: u64) -> Instant {
        let now = Instant::now();
        if rate == 0 {
            return now;
        }
        let mut free = lock(self.free.get(way as usize).unwrap_or(&self.free[0]));
        *free = (*free).max(now) + Duration::from_secs_f64(octets as f64 / rate as f64);
        *free
    }

    fn count(&self, connection: &Connection, way: Way, octets: usize) {
        let mut counts = lock(&self.counts);
        if way == Way::Down {
            counts.down += octets as u64;
            return;
        }
        counts.up += octets as u64;
        let mut last = lock(&connection.last);
        if *last == Way::Down {
            counts.turns += 1;
        }
        *last = Way::Up;
        if connection.ways.iter().all(|pipe| lock(&pipe.held).pieces.is_empty()) {
            counts.waits += 1;
        }
    }
}

impl Connection {
    fn pipe(&self, way: Way) -> &Pipe {
        let [up, down] = &self.ways;
        if way == Way::Up { up } else { down }
    }

    /// Takes octets from one end and puts them on the way.
    fn take(&self, line: &Line, way: Way, mut from: TcpStream) {
        let pipe = self.pipe(way);
        let mut buffer = vec![0; 256 << 10];
        loop {
            // A reset ends the connection as a close does.
            let octets = from.read(&mut buffer).unwrap_or(0);
            let piece = buffer.get(..octets).unwrap_or_default().to_vec();
            let mut due = line.through(way, octets, self.rate) + self.round_trip / 2;
            if way == Way::Up {
                due = due.max(self.opened + self.round_trip * 3 / 2);
            }
            if octets > 0 {
                line.count(self, way, octets);
            }
            let mut held = lock(&pipe.held);
            while held.octets > MOST_ON_THE_WAY && !held.broken {
                held = pipe.changed.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
            if held.broken {
                let _ = from.shutdown(Shutdown::Read);
                return;
            }
            held.octets += octets;
            held.pieces.push_back((due, piece));
            drop(held);
            pipe.changed.notify_all();
            if octets == 0 {
                return;
            }
        }
    }

    /// Gives what has arrived to the other end.
    fn give(&self, way: Way, mut to: TcpStream) {
        let pipe = self.pipe(way);
        loop {
            let mut held = lock(&pipe.held);
            while held.pieces.is_empty() {
                held = pipe.changed.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
            // It stays in sight while it is on its way.
            let Some(due) = held.pieces.front().map(|(due, _)| *due) else { continue };
            drop(held);
            let now = Instant::now();
            if due > now {
                std::thread::sleep(due - now);
            }
            let mut held = lock(&pipe.held);
            let Some((_, piece)) = held.pieces.pop_front() else { continue };
            held.octets -= piece.len();
            drop(held);
            if way == Way::Down {
                *lock(&self.last) = Way::Down;
            }
            let done = if piece.is_empty() { to.shutdown(Shutdown::Write) } else { to.write_all(&piece) };
            if piece.is_empty() {
                return;
            }
            if done.is_err() {
                let mut held = lock(&pipe.held);
                held.broken = true;
                held.pieces.clear();
                held.octets = 0;
                drop(held);
                pipe.changed.notify_all();
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
            pipe.changed.notify_all();
        }
    }
}

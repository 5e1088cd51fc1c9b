//! The connections of a run, and how work is spread over them.
//!
//! Workers own a session each and send what they got to the calling thread, which alone delivers, records and reports.
//! The queue between them is bounded, so a slow disk slows the network and memory stays where it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::remote::imap::Session;
use crate::remote::net::{Connector, Meter};
use crate::remote::{ImapOptions, ServerOptions, TlsMode, Trust};
use crate::secret::Secret;
use crate::stop::Stop;

/// How many results may wait for the calling thread: about a batch of messages, so that the line goes on while one is
/// made durable. What waits are names; the octets are in `tmp`.
const QUEUE: usize = 256;

/// TLS connectors, one for each distinct way to trust a server: building one reads the system's certificates.
#[derive(Debug, Default)]
pub struct Connectors(Mutex<Vec<(Trust, Connector)>>);

impl Connectors {
    /// Begins to build the one that a server takes, so that it is there when it is needed.
    pub fn begin(&self, server: &ServerOptions) {
        // What is wrong is told by whoever needs it.
        let _ = self.of(server);
    }

    /// The connector that a server takes; `None` without TLS.
    pub fn of(&self, server: &ServerOptions) -> Result<Option<Connector>> {
        match server.tls {
            TlsMode::None => Ok(None),
            TlsMode::Implicit | TlsMode::StartTls => self.get(&server.trust).map(Some),
        }
    }

    fn get(&self, trust: &Trust) -> Result<Connector> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = all.iter().find(|(t, _)| t == trust) {
            return Ok(connector.clone());
        }
        let connector = Connector::new(trust)?;
        all.push((trust.clone(), connector.clone()));
        Ok(connector)
    }
}

/// Reads the account's secret when it is first needed, once a run.
pub struct Credentials<'a> {
    read: &'a (dyn Fn() -> Result<Secret> + Sync),
    secret: Mutex<Option<Arc<Secret>>>,
}

impl<'a> Credentials<'a> {
    /// Takes the source.
    pub fn new(read: &'a (dyn Fn() -> Result<Secret> + Sync)) -> Self {
        Credentials { read, secret: Mutex::new(None) }
    }

    /// The secret.
    pub fn get(&self) -> Result<Arc<Secret>> {
        let mut secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = &*secret {
            return Ok(Arc::clone(secret));
        }
        let read = Arc::new((self.read)()?);
        *secret = Some(Arc::clone(&read));
        Ok(read)
    }
}

/// The sessions of one account.
pub struct Pool<'a> {
    options: &'a ImapOptions,
    connectors: &'a Connectors,
    credentials: &'a Credentials<'a>,
    meter: Meter,
    stop: &'a Stop,
    idle: Mutex<Vec<Session>>,
    had_session: OnceLock<()>,
}

/// What the calling thread hears from the workers.
pub enum Heard<M> {
    /// A result.
    Result(M),
    /// Nothing came for a moment: time to flush what has gathered.
    Pause,
}

/// The calling thread, to whom the workers' results go.
pub trait Receive<M> {
    /// Takes what came.
    fn hear(&mut self, heard: Heard<M>) -> Result<()>;

    /// Does some work of its own while nothing has come; whether more of it is left.
    fn idle(&mut self) -> Result<bool> {
        Ok(false)
    }
}

impl<M, F: FnMut(Heard<M>) -> Result<()>> Receive<M> for F {
    fn hear(&mut self, heard: Heard<M>) -> Result<()> {
        self(heard)
    }
}

/// What a worker has at hand: more to do, and where its results go.
pub struct Worker<'a, J, M> {
    queue: &'a Mutex<VecDeque<J>>,
    sender: SyncSender<M>,
    halted: &'a AtomicBool,
}

impl<J, M> Worker<'_, J, M> {
    /// Takes another job over while the last one is still under way; `None` when there is none, or the run is ending.
    pub fn next_job(&self) -> Option<J> {
        self.check().ok()?;
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Hands a result over; an error once nobody wants any more.
    pub fn send(&self, message: M) -> Result<()> {
        self.check()?;
        self.sender.send(message).map_err(|_| over())
    }

    /// Waits as long as what is locked `must` be waited for; an error once nobody wants any more.
    pub fn wait_while<'g, T>(
        &self,
        changed: &Condvar,
        mut locked: MutexGuard<'g, T>,
        must: impl Fn(&T) -> bool,
    ) -> Result<MutexGuard<'g, T>> {
        // Nobody tells when the run is ending.
        const LOOK: Duration = Duration::from_millis(100);
        while must(&locked) {
            self.check()?;
            locked = changed.wait_timeout(locked, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(locked)
    }

    fn check(&self) -> Result<()> {
        if self.halted.load(Ordering::Relaxed) { Err(over()) } else { Ok(()) }
    }
}

fn over() -> Error {
    Error::new(Kind::Interrupted, "The run is ending")
}

impl<'a> Pool<'a> {
    /// Makes an empty pool.
    pub fn new(
        options: &'a ImapOptions,
        connectors: &'a Connectors,
        credentials: &'a Credentials<'a>,
        meter: Meter,
        stop: &'a Stop,
    ) -> Self {
        Pool {
            options,
            connectors,
            credentials,
            meter,
            stop,
            idle: Mutex::new(Vec::new()),
            had_session: OnceLock::new(),
        }
    }

    /// Whether a session ever stood.
    pub fn had_session(&self) -> bool {
        self.had_session.get().is_some()
    }

    /// An idle session, or a new one.
    pub fn take(&self) -> Result<Session> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(session) => Ok(session),
            None => self.open(),
        }
    }

    /// A new session for one that broke, after a moment.
    pub fn replace(&self) -> Result<Session> {
        super::clock::sleep(Duration::from_millis(300), self.stop)?;
        self.open()
    }

    /// Opens one more for work that is to come; without one, that is done by fewer.
    pub fn open_ahead(&self) {
        match self.open() {
            Ok(session) => self.give(session),
            Err(error) => log::info!("going on with fewer connections: {error}"),
        }
    }

    /// Puts a session back that stands well.
    pub fn give(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Says goodbye on every idle session.
    pub fn close(&self) {
        for session in self.idle.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            session.logout();
        }
    }

    fn open(&self) -> Result<Session> {
        let secret = self.credentials.get()?;
        let connector = self.connectors.of(&self.options.server)?;
        let session = Session::open(self.options, connector.as_ref(), &secret, &self.meter, self.stop)?;
        // Only the first of several threads finds it unset, which is all that is asked of it.
        let _ = self.had_session.set(());
        Ok(session)
    }

    /// How many connections will work when `wanted` are worth it for so many jobs.
    pub fn width(&self, wanted: usize, jobs: usize) -> usize {
        wanted.min(self.options.connections).min(jobs).max(1)
    }

    /// Works off `jobs` on at most `width` connections; `receiver` works on the calling thread.
    ///
    /// An error of a worker or of `receiver` ends the work of all; what was received before stays received. Only the
    /// first connection has to be had: a server that allows fewer than we would like is served with fewer.
    pub fn run<J, M, W, R>(&self, jobs: Vec<J>, width: usize, work: W, mut receiver: R) -> Result<()>
    where
        J: Send,
        M: Send,
        W: Fn(&mut Session, J, &Worker<'_, J, M>) -> Result<()> + Sync,
        R: Receive<M>,
    {
        if jobs.is_empty() {
            return Ok(());
        }
        let width = self.width(width, jobs.len());
        let queue = Mutex::new(VecDeque::from(jobs));
        let halted = AtomicBool::new(false);
        let first_error: Mutex<Option<Error>> = Mutex::new(None);
        // Without any there is nothing to work with; who else finds none leaves the work to this one.
        let mut first = Some(self.take()?);
        let fail = |error: Error| {
            first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            halted.store(true, Ordering::Relaxed);
        };
        std::thread::scope(|scope| {
            let (sender, queue_end) = sync_channel(QUEUE);
            for _ in 0..width {
                let first = first.take();
                let worker = Worker { queue: &queue, sender: sender.clone(), halted: &halted };
                let (work, fail) = (&work, &fail);
                scope.spawn(move || {
                    let mut session = match first.map_or_else(|| self.take(), Ok) {
                        Ok(session) => session,
                        Err(error) => return log::info!("going on with fewer connections: {error}"),
                    };
                    loop {
                        let Some(job) = worker.next_job() else { return self.give(session) };
                        match self.stop.check().and_then(|()| work(&mut session, job, &worker)) {
                            Ok(()) => {}
                            // Whoever ended the run says why.
                            Err(error) if error.kind() == Kind::Interrupted && self.stop.check().is_ok() => return,
                            Err(error) => return fail(error),
                        }
                    }
                });
            }
            drop(sender);
            listen(queue_end, &mut receiver).unwrap_or_else(fail);
        });
        first_error.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// Hears results until all workers are done; an error of `receiver` ends the hearing, and with the queue's end gone the
/// workers' next result fails.
fn listen<M>(queue_end: Receiver<M>, receiver: &mut impl Receive<M>) -> Result<()> {
    loop {
        let come = match queue_end.try_recv() {
            Err(TryRecvError::Empty) if receiver.idle()? => continue,
            Err(_) => queue_end.recv_timeout(Duration::from_millis(300)),
            Ok(message) => Ok(message),
        };
        match come {
            Ok(message) => receiver.hear(Heard::Result(message))?,
            Err(RecvTimeoutError::Timeout) => receiver.hear(Heard::Pause)?,
            Err(RecvTimeoutError::Disconnected) => return receiver.hear(Heard::Pause),
        }
    }
}

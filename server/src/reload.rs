mod keepers;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch as state_watch;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::config::{self, Problems};
use crate::lifecycle::State;
use crate::notify;
use crate::plan::Plan;
use crate::workers::Orders;

use self::keepers::Keepers;
use self::watch::{Look, Watch};

/// What a gateway serves by, and how it came to it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Current {
    /// The plan.
    pub plan: Arc<Plan>,
    /// 1 at the start, and one more for each plan that replaced another.
    pub generation: u64,
    /// When the file was last read, and what was wrong with it, a line each.
    pub last: (SystemTime, Arc<[String]>),
}

impl Current {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let last = (SystemTime::now(), Arc::default());
        plan.meters.reloads.took(1, last.0);
        Self { plan, generation: 1, last }
    }

    /// What follows when `plan` replaces this one's.
    fn renewed(&self, plan: Arc<Plan>) -> Self {
        let (generation, last) = (self.generation + 1, (SystemTime::now(), Arc::default()));
        plan.meters.reloads.took(generation, last.0);
        Self { plan, generation, last }
    }

    /// What follows when the file is wrong.
    fn rejected(&self, problems: Arc<[String]>) -> Self {
        let last = (SystemTime::now(), problems);
        self.plan.meters.reloads.rejected(last.0);
        Self { plan: self.plan.clone(), generation: self.generation, last }
    }
}

/// Why a gateway goes on with the configuration that it had.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReloaded {
    /// It was started with a configuration that came from no file.
    #[error("there is no file to read again")]
    NoFile,
    /// It does not run yet, or no more; this is the state it is in.
    #[error("the gateway is {0}, and takes no configuration")]
    NotRunning(&'static str),
    /// What is wrong with the file, a line each.
    #[error("{}", .0.join("\n"))]
    Rejected(Arc<[String]>),
}

/// Somebody who waits for a reload.
pub(crate) type Asked = oneshot::Sender<Result<u64, NotReloaded>>;

/// Asks for reloads.
#[derive(Clone, Debug)]
pub(crate) struct Reloads(mpsc::Sender<Asked>);

impl Reloads {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (ask, asked) = mpsc::channel(MOST_ASKED);
        (Self(ask), asked)
    }

    pub(crate) async fn ask(&self) -> Result<u64, NotReloaded> {
        let (ask, answer) = oneshot::channel();
        let gone = || NotReloaded::NotRunning("stopped");
        self.0.send(ask).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(crate) fn ask_soon(&self) {
        // When so many wait already, the file is read after this in any case.
        let _ = self.0.try_send(oneshot::channel().0);
    }
}

/// How many may wait for a reload that has not begun. They are all served by one.
const MOST_ASKED: usize = 64;

/// Replaces one plan by another.
#[derive(Debug)]
pub(crate) struct Reloader {
    file: Option<PathBuf>,
    current: state_watch::Sender<Arc<Current>>,
    state: state_watch::Receiver<State>,
    orders: Orders,
    keepers: Keepers,
    watch: Watch,
}

impl Reloader {
    pub(crate) fn new(
        file: Option<PathBuf>,
        current: state_watch::Sender<Arc<Current>>,
        state: state_watch::Receiver<State>,
        orders: Orders,
    ) -> Self {
        Self { file, current, state, orders, keepers: Keepers::default(), watch: Watch::default() }
    }

    /// Reloads whenever it is `asked`, or a file changes.
    pub(crate) async fn run(mut self, mut asked: mpsc::Receiver<Asked>) {
        let current = self.current.borrow().clone();
        self.keepers.follow(&current.plan);
        self.watch.begin(self.look().await);
        drop(current);
        loop {
            let mut waiting = Vec::new();
            tokio::select! {
                count = asked.recv_many(&mut waiting, MOST_ASKED) => if count == 0 { return },
                () = self.changed() => tracing::info!("a file of the configuration has changed"),
            }
            let answer = self.reload().await;
            if let Err(error @ (NotReloaded::NoFile | NotReloaded::NotRunning(_))) = &answer {
                tracing::warn!(%error, "not reloaded");
            }
            for one in waiting {
                // Who asked may have left.
                let _ = one.send(answer.clone());
            }
        }
    }

    async fn reload(&mut self) -> Result<u64, NotReloaded> {
        let state = *self.state.borrow();
        if !state.reloads() {
            return Err(NotReloaded::NotRunning(state.name()));
        }
        let file = self.file.clone().ok_or(NotReloaded::NoFile)?;
        notify::reloading();
        // What changes while it is read is seen later.
        let look = self.look().await;
        self.watch.begin(look);
        let before = self.current.borrow().clone();
        let plan = before.plan.clone();
        let made = spawn_blocking(move || read(&file, &plan)).await;
        let made: Result<Plan, Arc<[String]>> = match made {
            Ok(made) => made.map_err(|problems| problems.lines().into()),
            Err(panicked) => Err([panicked.to_string()].into()),
        };
        match made {
            Ok(plan) => {
                let plan = Arc::new(plan);
                plan.begin();
                self.orders.take(&plan).await;
                plan.limits.adopt();
                self.keepers.follow(&plan);
                let now = before.renewed(plan);
                let generation = now.generation;
                self.current.send_replace(Arc::new(now));
                self.watch.adopt(self.look().await);
                tracing::info!(generation, "serving by a new configuration");
                notify::ready();
                Ok(generation)
            }
            Err(problems) => {
                for problem in &*problems {
                    tracing::error!(problem, "the configuration is wrong: the one of before stays");
                }
                self.current.send_replace(Arc::new(before.rejected(Arc::clone(&problems))));
                notify::unchanged();
                Err(NotReloaded::Rejected(problems))
            }
        }
    }

    /// Waits until a file has changed, and has stayed as it is for a while; for ever, unless that is asked for.
    async fn changed(&mut self) {
        loop {
            let reload = self.current.borrow().plan.config.reload;
            if !reload.watch || self.file.is_none() {
                return std::future::pending().await;
            }
            sleep(reload.watch_interval).await;
            let look = self.look().await;
            if self.watch.settles(look) {
                return;
            }
        }
    }

    /// What the file and those that it names look like.
    async fn look(&self) -> Look {
        let current = self.current.borrow().clone();
        let files = current.plan.files().map(Path::to_owned).chain(self.file.clone()).collect();
        spawn_blocking(|| Look::at(files)).await.unwrap_or_default()
    }
}

/// Reads the file, and makes a plan of it that keeps what it can of the one `before`.
fn read(file: &Path, before: &Plan) -> Result<Plan, Problems> {
    let (reading, text) = config::load(file)?;
    let plan = before.renewed(reading).map_err(|found| Problems::new(file, &text, found))?;
    plan.warn();
    // Those that are kept have what is new in their files, too, and have it now.
    plan.terms.iter().filter_map(|terms| terms.tls()).for_each(|tls| tls.look());
    Ok(plan)
}

//! When a provider is asked for credentials, who waits for it, and what is used meanwhile.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use portcullis_sigv4_sign::{
    NotSigned, ProfileCredentials, RefreshPolicy, SigV4Handle, SigV4Sign, SigV4SignLayer,
    SignedBody, Signing,
};
use tokio::task::yield_now;
use tokio::time::{Instant, advance, sleep};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok};
use tower::{Layer, ServiceExt};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A provider that answers by a script, each time after a moment, and never again when the script is over.
#[derive(Clone, Debug)]
struct Script(Arc<Mutex<(usize, VecDeque<provider::Result>)>>);

impl Script {
    fn new(answers: impl IntoIterator<Item = provider::Result>) -> Self {
        Self(Arc::new(Mutex::new((0, answers.into_iter().collect()))))
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        self.0.lock().unwrap().0
    }
}

impl ProvideCredentials for Script {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.lock().unwrap().0 += 1;
        future::ProvideCredentials::new(async {
            sleep(MOMENT).await;
            let answer = self.0.lock().unwrap().1.pop_front();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

/// How long the script thinks.
const MOMENT: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

thread_local! {
    /// When the test began; it has a thread of its own.
    static BEGIN: Instant = Instant::now();
}

/// The clock of the wall goes with that of tokio.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_369_353_600) + BEGIN.with(Instant::elapsed)
}

/// Credentials of this name that last for so long from now.
fn lasting(id: &str, time: Duration) -> provider::Result {
    Ok(Credentials::new(id, "secret", None, Some(now() + time), "test"))
}

fn for_ever(id: &str) -> provider::Result {
    Ok(Credentials::new(id, "secret", None, None, "test"))
}

fn none() -> provider::Result {
    Err(CredentialsError::not_loaded("there are none"))
}

fn layer(provider: impl ProvideCredentials + 'static) -> SigV4SignLayer {
    let signing = Signing::new("s3".parse().unwrap(), "eu-west-1".parse().unwrap());
    SigV4SignLayer::new(signing, provider).clock(now)
}

/// What answers with the headers that it received.
#[derive(Clone, Debug)]
struct Echo;

impl tower::Service<Request<SignedBody<Empty<Bytes>>>> for Echo {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<SignedBody<Empty<Bytes>>>) -> Self::Future {
        let mut response = Response::new(());
        *response.headers_mut() = request.into_parts().0.headers;
        ready(Ok(response))
    }
}

async fn send(service: &SigV4Sign<Echo>) -> Response<()> {
    let request = Request::get("https://a.example/k").body(Empty::new()).unwrap();
    service.clone().oneshot(request).await.unwrap()
}

/// By whose credentials a request was signed.
fn signer(headers: &HeaderMap) -> &str {
    let authorization = headers[AUTHORIZATION].to_str().unwrap();
    let (_, credential) = authorization.split_once("Credential=").unwrap();
    credential.split_once('/').unwrap().0
}

/// Sends a request that must not wait, and says by whose credentials it was signed.
fn sign_at_once(service: &SigV4Sign<Echo>) -> String {
    let response = assert_ready!(spawn(send(service)).poll());
    assert_eq!(response.status(), StatusCode::OK);
    signer(response.headers()).to_owned()
}

/// Lets time pass, and whoever was waiting for it act.
async fn pass(time: Duration) {
    settle().await;
    advance(time).await;
    settle().await;
}

async fn settle() {
    for _ in 0..8 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_requests_wait_for_one_call() {
    let script = Script::new([lasting("id", HOUR)]);
    let service = layer(script.clone()).layer(Echo);

    let mut waiting: Vec<_> = (0..100).map(|_| spawn(send(&service))).collect();
    for response in &mut waiting {
        assert_pending!(response.poll());
    }
    pass(MOMENT).await;

    for response in &mut waiting {
        assert_eq!(signer(assert_ready!(response.poll()).headers()), "id");
    }
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_call_outlives_the_request_that_began_it() {
    let script = Script::new([lasting("id", HOUR)]);
    let service = layer(script.clone()).layer(Echo);

    let mut first = spawn(send(&service));
    assert_pending!(first.poll());
    drop(first);
    pass(MOMENT).await;

    assert_eq!(sign_at_once(&service), "id");
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_refreshed_ahead_of_their_end_and_no_request_waits() {
    let script = Script::new([lasting("first", HOUR), lasting("second", HOUR * 3)]);
    let service = layer(script.clone()).layer(Echo);
    send(&service).await;

    pass(HOUR - SECOND * 125).await;
    assert_eq!(sign_at_once(&service), "first");
    assert_eq!(script.asked(), 1, "too early");

    pass(SECOND * 65).await;
    assert_eq!(sign_at_once(&service), "first");
    pass(MOMENT).await;
    assert_eq!(sign_at_once(&service), "second");
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_refresh_is_spread() {
    let mut due = Vec::new();
    for _ in 0..20 {
        let script = Script::new([lasting("id", HOUR)]);
        let service = layer(script.clone()).layer(Echo);
        send(&service).await;
        pass(HOUR - SECOND * 121).await;
        let begin = Instant::now();
        while script.asked() < 2 {
            sign_at_once(&service);
            pass(SECOND).await;
        }
        due.push(begin.elapsed());
    }

    due.sort_unstable();
    assert!(due.last().unwrap() <= &(SECOND * 63), "{due:?}");
    due.dedup();
    assert!(due.len() > 5, "{due:?}");
}

#[tokio::test(start_paused = true)]
async fn old_credentials_are_used_until_they_truly_expire() {
    let failing = (0..20).map(|_| none());
    let script = Script::new([lasting("old", HOUR)].into_iter().chain(failing));
    let service = layer(script.clone()).layer(Echo);
    send(&service).await;

    pass(HOUR - SECOND * 30).await;
    for _ in 0..29 {
        assert_eq!(sign_at_once(&service), "old");
        pass(SECOND).await;
    }
    // At 1, 2, 4, 8 and 16 seconds at most after one another, and at least at half of that.
    assert!((5..=8).contains(&script.asked()), "{}", script.asked());

    pass(SECOND).await;
    assert_eq!(send(&service).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn without_credentials_nothing_is_sent_and_the_provider_is_left_alone_for_a_while() {
    let script = Script::new([none(), none(), for_ever("id")]);
    let service = layer(script.clone()).layer(Echo);

    for asked in [1, 2] {
        let response = send(&service).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let reason: NotSigned = *response.extensions().get().unwrap();
        let NotSigned::NoCredentials { retry_after } = reason else { panic!("{reason:?}") };
        assert!(retry_after > Duration::ZERO && retry_after <= SECOND * asked, "{retry_after:?}");
        let seconds: u32 = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!(SECOND * seconds >= retry_after);

        let again = assert_ready!(spawn(send(&service)).poll());
        assert_eq!(again.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(script.asked(), usize::try_from(asked).unwrap());
        pass(retry_after).await;
    }
    assert_eq!(signer(send(&service).await.headers()), "id");
}

#[tokio::test(start_paused = true)]
async fn a_provider_has_so_much_time() {
    let script = Script::new([]);
    let policy = RefreshPolicy::new().time_limit(SECOND * 3);
    let service = layer(script.clone()).refresh(policy).layer(Echo);

    let begin = Instant::now();
    let response = send(&service).await;

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(begin.elapsed(), SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_have_expired_when_they_come_are_none() {
    let script = Script::new([lasting("old", MOMENT), lasting("old", MOMENT)]);
    let service = layer(script.clone()).layer(Echo);

    for asked in [1, 2] {
        for _ in 0..2 {
            let response = send(&service).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(script.asked(), asked, "the provider has failed");
        pass(SECOND * 60).await;
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_expire_are_looked_for_once_in_an_interval() {
    let policy = RefreshPolicy::new().interval(SECOND * 100);
    let script = Script::new([for_ever("first"), for_ever("second"), none()]);
    let service = layer(script.clone()).refresh(policy).layer(Echo);
    send(&service).await;

    pass(SECOND * 99).await;
    assert_eq!((sign_at_once(&service).as_str(), script.asked()), ("first", 1));
    pass(SECOND * 11).await;
    assert_eq!((sign_at_once(&service).as_str(), script.asked()), ("first", 1));
    pass(MOMENT).await;
    assert_eq!((sign_at_once(&service).as_str(), script.asked()), ("second", 2));

    // They are as good as ever when the provider fails.
    pass(SECOND * 110).await;
    sign_at_once(&service);
    pass(HOUR * 24).await;
    assert_eq!((sign_at_once(&service).as_str(), script.asked()), ("second", 3));
}

#[tokio::test(start_paused = true)]
async fn the_services_of_a_layer_share_what_was_asked_for() {
    let script = Script::new([for_ever("id")]);
    let layer = layer(script.clone());
    send(&layer.layer(Echo)).await;

    assert_eq!(sign_at_once(&layer.clone().layer(Echo)), "id");
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_the_last_who_could_use_it() {
    let script = Script::new([]);
    let service = layer(script.clone()).layer(Echo);
    let mut response = spawn(send(&service));
    assert_pending!(response.poll());
    pass(MOMENT).await;
    assert_eq!(
        Arc::strong_count(&script.0),
        2,
        "the test's, and the one of the store and the task"
    );

    drop(response);
    drop(service);
    pass(MOMENT).await;
    assert_eq!(Arc::strong_count(&script.0), 1);
}

#[test]
fn a_call_that_loses_its_runtime_has_failed() {
    let script = Script::new([]);
    let service = layer(script.clone()).layer(Echo);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let first = runtime();
    first.block_on(async { assert_pending!(spawn(send(&service)).poll()) });
    drop(first);

    let response = runtime().block_on(send(&service));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(script.asked(), 0, "it was never polled");
}

#[tokio::test(start_paused = true)]
async fn a_handle_fetches_ahead_of_the_first_request() {
    let script = Script::new([none(), lasting("id", HOUR)]);
    let layer = layer(script.clone());
    let handle = layer.handle();

    let reason = handle.prefetch().await.unwrap_err();
    assert!(matches!(reason, NotSigned::NoCredentials { .. }), "{reason:?}");
    assert_eq!(handle.credentials_expiry(), None);

    pass(SECOND).await;
    handle.prefetch().await.unwrap();
    handle.prefetch().await.unwrap();
    let expiry = handle.credentials_expiry().unwrap();
    assert!(expiry > now() + HOUR - SECOND * 2, "{expiry:?}");
    assert_eq!(sign_at_once(&layer.layer(Echo)), "id");
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handle_refreshes_and_forgets() {
    let script = Script::new(["first", "second", "third"].map(for_ever));
    let layer = layer(script.clone());
    let (handle, service) = (layer.handle(), layer.layer(Echo));
    handle.prefetch().await.unwrap();

    let mut refresh = spawn(handle.refresh());
    assert_pending!(refresh.poll());
    assert_eq!(sign_at_once(&service), "first");
    pass(MOMENT).await;
    assert_ready!(refresh.poll());
    assert_eq!(sign_at_once(&service), "second");

    handle.forget();
    assert_eq!(signer(send(&service).await.headers()), "third");
}

#[tokio::test]
async fn fixed_credentials_have_a_handle_too() {
    let handle = |expiry| {
        layer(Credentials::new("id", "secret", None, Some(now() + expiry), "test")).handle()
    };
    handle(HOUR).forget();
    handle(HOUR).refresh().await;
    handle(HOUR).prefetch().await.unwrap();
    assert!(handle(HOUR).credentials_expiry().is_some());
    assert!(handle(Duration::ZERO).prefetch().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_under_the_same_id_is_used() {
    let credentials = |secret| Ok(Credentials::new("id", secret, None, None, "test"));
    let layer = layer(Script::new([credentials("old"), credentials("new")]));
    let (handle, service) = (layer.handle(), layer.layer(Echo));
    handle.prefetch().await.unwrap();
    let before = send(&service).await;

    handle.refresh().await;
    let after = send(&service).await;
    assert_eq!(before.headers()["x-amz-date"], after.headers()["x-amz-date"]);
    assert_ne!(before.headers()[AUTHORIZATION], after.headers()[AUTHORIZATION]);
}

#[tokio::test]
async fn a_profile_is_read_again_when_its_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    let text = |id| format!("[blue]\naws_access_key_id={id}\naws_secret_access_key=secret\n");
    let provider = ProfileCredentials::new(&path).profile("blue");
    let id = async || {
        let given = provider.provide_credentials().await;
        given.map(|credentials| credentials.access_key_id().to_owned())
    };
    assert!(id().await.is_err(), "no file");

    fs::write(&path, text("first")).unwrap();
    assert_eq!(id().await.unwrap(), "first");
    fs::write(&path, text("longer")).unwrap();
    assert_eq!(id().await.unwrap(), "longer");

    // Another file of the same size and time.
    let next = folder.path().join("next");
    fs::write(&next, text("newest")).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::File::open(&next).unwrap().set_modified(modified).unwrap();
    fs::rename(&next, &path).unwrap();
    assert_eq!(id().await.unwrap(), "newest");

    fs::write(&path, "[blue]").unwrap();
    assert!(id().await.is_err(), "no keys");
}

#[tokio::test]
async fn a_profile_that_has_not_changed_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    let text = |id| format!("[default]\naws_access_key_id={id}\naws_secret_access_key=secret\n");
    let provider = ProfileCredentials::new(&path);
    let time = UNIX_EPOCH + HOUR;
    for written in ["one", "two"] {
        fs::write(&path, text(written)).unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();

        let given = provider.provide_credentials().await.unwrap();
        assert_eq!(given.access_key_id(), "one");
    }
}

#[test]
fn a_profile_shows_no_secret() {
    let provider = ProfileCredentials::new("/etc/keys").profile("blue");
    assert_eq!(
        format!("{provider:?}"),
        "ProfileCredentials { path: \"/etc/keys\", profile: \"blue\", .. }"
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_once_and_so_is_its_end() {
    static LEVELS: Mutex<Vec<Level>> = Mutex::new(Vec::new());

    struct Log;

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("portcullis_sigv4_sign")
                && *metadata.level() <= Level::INFO
        }
        fn event(&self, event: &Event<'_>) {
            LEVELS.lock().unwrap().push(*event.metadata().level());
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    let _guard = tracing::subscriber::set_default(Log);
    let told = || std::mem::take(&mut *LEVELS.lock().unwrap());
    let script = Script::new([lasting("id", HOUR), none(), none(), for_ever("id")]);
    let service = layer(script).layer(Echo);
    send(&service).await;
    assert!(told().is_empty());

    pass(HOUR - SECOND * 50).await;
    for _ in 0..2 {
        sign_at_once(&service);
        pass(SECOND * 5).await;
    }
    assert_eq!(told(), [Level::WARN], "the provider fails");

    pass(SECOND * 45).await;
    send(&service).await;
    send(&service).await;
    assert_eq!(told(), [Level::WARN], "requests are refused");

    pass(SECOND * 45).await;
    send(&service).await;
    send(&service).await;
    assert_eq!(told(), [Level::INFO, Level::INFO], "both is over");
}

#[tokio::test]
async fn a_handle_shows_no_secret() {
    let handle: SigV4Handle = layer(Credentials::new("id", "hush", None, None, "test")).handle();
    let shown = format!("{handle:?}");
    assert!(!shown.contains("hush") && !shown.contains("id\""), "{shown}");
    assert_ready_ok!(spawn(handle.prefetch()).poll());
}

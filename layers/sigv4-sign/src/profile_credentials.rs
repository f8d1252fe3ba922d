use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fmt, io};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use tokio::task::spawn_blocking;

/// Credentials in a profile of a shared credentials file, as the AWS CLI and SDKs read it.
///
/// ```ini
/// [default]
/// aws_access_key_id = AKIAIOSFODNN7EXAMPLE
/// aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
/// aws_session_token = none for keys that last
/// ```
///
/// The file is looked at each time the provider is asked, which a layer does once in
/// [`RefreshPolicy::interval`](crate::RefreshPolicy::interval), and read when its time of change, its size or, on Unix,
/// its inode is another. So it has to be replaced as a whole, by renaming: half a file that happens to make sense is
/// taken for what it says. If it is gone or broken, a layer keeps what it has. What it says does not expire.
///
/// Of a profile these three keys are read; roles, processes and sources of credentials that it may name are not followed.
#[derive(Clone)]
#[must_use = "a provider does nothing until it is asked"]
pub struct ProfileCredentials {
    path: Arc<Path>,
    profile: Arc<str>,
    known: Arc<Mutex<Option<(Version, Credentials)>>>,
}

impl ProfileCredentials {
    /// Reads the profile `default` of the file at `path`, which is no environment variable's nor a home directory's.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into(), profile: "default".into(), known: Arc::default() }
    }

    /// Reads another profile.
    pub fn profile(mut self, name: &str) -> Self {
        self.profile = name.into();
        self.known = Arc::default();
        self
    }

    fn read(&self) -> provider::Result {
        let unreadable = |error: io::Error| {
            CredentialsError::provider_error(format!("{}: {error}", self.path.display()))
        };
        // Before the file is read: one that changes meanwhile is read again.
        let version = Version::of(&fs::metadata(&self.path).map_err(unreadable)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, credentials)) = known.as_ref().filter(|(of, _)| *of == version) {
            return Ok(credentials.clone());
        }
        let text = fs::read_to_string(&self.path).map_err(unreadable)?;
        let credentials = profile(&text, &self.profile).map_err(|missing| {
            let (path, profile) = (self.path.display(), &self.profile);
            CredentialsError::not_loaded(format!("{path}: {missing} of profile {profile:?}"))
        })?;
        *known = Some((version, credentials.clone()));
        Ok(credentials)
    }
}

impl ProvideCredentials for ProfileCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let this = self.clone();
        future::ProvideCredentials::new(async move {
            // Disks stall, and with them whatever else the thread has to do.
            let read = spawn_blocking(move || this.read()).await;
            read.unwrap_or_else(|error| Err(CredentialsError::unhandled(error)))
        })
    }
}

impl fmt::Debug for ProfileCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileCredentials")
            .field("path", &self.path)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// What tells a file from what it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Version {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Version {
    fn of(file: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(file);
        #[cfg(not(unix))]
        let inode = 0;
        Self { modified: file.modified().ok(), bytes: file.len(), inode }
    }
}

/// The keys of a profile; where it says something twice, the last one counts. The error is what it does not have.
fn profile(text: &str, wanted: &str) -> Result<Credentials, &'static str> {
    let (mut id, mut secret, mut token) = (None, None, None);
    let mut reading = false;
    for line in text.trim_start_matches('\u{feff}').lines() {
        // An indented line belongs to the value above it, and none of these values has a second line.
        if line.starts_with([' ', '\t', '#', ';']) || line.trim_end().is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            reading = name.split_once(']').is_some_and(|(name, _)| name.trim() == wanted);
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| reading) else { continue };
        let (key, value) = (key.trim(), without_comment(value).trim());
        let place = [
            ("aws_access_key_id", &mut id),
            ("aws_secret_access_key", &mut secret),
            ("aws_session_token", &mut token),
        ];
        for (_, place) in place.into_iter().filter(|(name, _)| key.eq_ignore_ascii_case(name)) {
            *place = Some(value).filter(|value| !value.is_empty());
        }
    }
    let id = id.ok_or("no aws_access_key_id")?;
    let secret = secret.ok_or("no aws_secret_access_key")?;
    Ok(Credentials::new(id, secret, token.map(str::to_owned), None, "profile"))
}

/// A comment begins with a `#` or `;` after a space.
fn without_comment(value: &str) -> &str {
    let comments = [" #", " ;", "\t#", "\t;"];
    let begin = comments.iter().filter_map(|comment| value.find(comment)).min();
    begin.and_then(|begin| value.get(..begin)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "\
# keys of the demo
aws_access_key_id = of no profile
[default]
aws_access_key_id = AKID
aws_secret_access_key=ab/c+d=#e;f # rotated in May
region = eu-west-1

; another
[ session ]
AWS_Access_Key_ID = first
Aws_Access_Key_Id = ASIA
s3 =
  aws_secret_access_key = nested
aws_secret_access_key = sec ret\t; why not
aws_session_token = to+ken==
[half]
aws_access_key_id = AKID
aws_secret_access_key =
";

    #[test]
    fn a_profile_is_read_as_the_cli_reads_it() {
        let default = profile(FILE, "default").unwrap();
        assert_eq!(default, Credentials::new("AKID", "ab/c+d=#e;f", None, None, "profile"));

        let session = profile(&FILE.replace('\n', "\r\n"), "session").unwrap();
        let token = Some("to+ken==".to_owned());
        assert_eq!(session, Credentials::new("ASIA", "sec ret", token, None, "profile"));
    }

    #[test]
    fn a_profile_without_keys_gives_none() {
        assert_eq!(profile(FILE, "half"), Err("no aws_secret_access_key"));
        assert_eq!(profile(FILE, "unknown"), Err("no aws_access_key_id"));
        assert_eq!(profile("[default", "default"), Err("no aws_access_key_id"));
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "([\\[\\]=#; \ta-c\n]|aws_secret_access_key|é){0,40}") {
            let _ = profile(&text, "a");
        }
    }
}

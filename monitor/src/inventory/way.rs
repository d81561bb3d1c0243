//! How somebody else connects to Docker for this process.

use crate::model::SafeText;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream as Connection;
use std::sync::Arc;
use tokio::net::UnixStream;

/// Where Docker is, or why that is not known; and a connection for one request. Both may take their time.
type Host = dyn Fn() -> Result<String, String> + Send + Sync;
type Connect = dyn Fn() -> io::Result<Connection> + Send + Sync;

/// Somebody who may connect.
#[derive(Clone)]
pub struct Way {
    host: Arc<Host>,
    connect: Arc<Connect>,
}

impl Way {
    /// By these.
    pub fn new(
        host: impl Fn() -> Result<String, String> + Send + Sync + 'static,
        connect: impl Fn() -> io::Result<Connection> + Send + Sync + 'static,
    ) -> Self {
        Self { host: Arc::new(host), connect: Arc::new(connect) }
    }

    /// Where Docker is.
    pub(super) async fn host(&self) -> Result<String, SafeText> {
        let host = Arc::clone(&self.host);
        let found = tokio::task::spawn_blocking(move || host()).await;
        found.unwrap_or_else(|panicked| Err(panicked.to_string())).map_err(|why| SafeText::new(&why))
    }

    /// A connection for one request.
    pub(super) async fn connect(&self) -> io::Result<UnixStream> {
        let connect = Arc::clone(&self.connect);
        let connection = tokio::task::spawn_blocking(move || connect()).await.map_err(io::Error::other)??;
        connection.set_nonblocking(true)?;
        UnixStream::from_std(connection)
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Way")
    }
}

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.connect, &other.connect)
    }
}

impl Eq for Way {}

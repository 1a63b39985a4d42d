//! The answering side of a server that runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use super::{Admin, SOCKET};

/// Conversations at once at most.
const CONVERSATIONS_MAX: usize = 8;

/// Opens the socket in the data folder and answers on it in the background. Whoever calls has the store open, so a
/// socket that lies there is of a process that is gone.
pub(crate) fn listen(data: &Path, admin: Admin) -> anyhow::Result<()> {
    let path = data.join(SOCKET);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| {
        format!(
            "{} cannot be made; its path may have 107 bytes at most: choose a shorter `data`",
            path.display()
        )
    })?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    tokio::spawn(accept(listener, Arc::new(admin)));
    Ok(())
}

async fn accept(listener: UnixListener, admin: Arc<Admin>) {
    let room = Arc::new(Semaphore::new(CONVERSATIONS_MAX));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((socket, _)) => {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    admin.converse(socket).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a control connection was not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

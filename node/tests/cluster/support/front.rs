//! An address whose server can be replaced, as that of a database that fails over.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes connections on to a server on this machine.
pub(crate) struct Front {
    port: u16,
    /// None: nobody is there.
    server: watch::Sender<Option<u16>>,
    task: JoinHandle<()>,
}

impl Front {
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (server, of_now) = watch::channel(Some(server));
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(client, of_now.clone()));
            }
        });
        Self { port, server, task }
    }

    /// New connections lead to another server. Those that there are lead nowhere: they stay open, and nothing comes back.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.send_replace(Some(server));
    }

    /// The server is gone: connections are ended, and new ones taken and ended when they have said something, as a load
    /// balancer or a container's published port does it.
    pub(crate) fn lead_nowhere(&self) {
        self.server.send_replace(None);
    }

    /// The URL with this address in place of `server`'s.
    pub(crate) fn url(&self, url: &str, server: u16) -> String {
        let (own, other) = (format!("127.0.0.1:{}", self.port), format!("127.0.0.1:{server}"));
        assert!(url.contains(&other), "{url}");
        url.replace(&other, &own)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, mut of_now: watch::Receiver<Option<u16>>) {
    let Some(server) = *of_now.borrow_and_update() else {
        // What is left unread would be a reset, and not an end.
        let _ = client.read(&mut [0; 1024]).await;
        return;
    };
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return;
    };
    let replaced = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => false,
        changed = of_now.changed() => changed.is_ok() && of_now.borrow().is_some(),
    };
    if replaced {
        // Until the test ends.
        of_now.wait_for(|_| false).await.ok();
    }
}

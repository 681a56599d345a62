//! TLS of a client: whom it trusts.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// What a client needs for `wss://`. Cheap to clone; clients that share one share its sessions.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Trusts the authorities that browsers trust, and those in a PEM file if one is given.
    ///
    /// # Errors
    /// When the file cannot be read, or has no certificate.
    pub fn new(authorities: Option<&Path>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(file) = authorities {
            let shown = file.display();
            let all = CertificateDer::pem_file_iter(file).with_context(|| format!("cannot read {shown}"))?;
            let all: Vec<_> = all
                .collect::<Result<_, _>>()
                .with_context(|| format!("{shown} is no PEM file"))?;
            let (added, _) = roots.add_parsable_certificates(all);
            anyhow::ensure!(added > 0, "there is no authority's certificate in {shown}");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, path::Path, sync::Arc};

    use protocol::JoinFrom;
    use rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;

    use super::Tls;
    use crate::{
        client::{
            Client, Options,
            tiny_server::{self, Fault},
        },
        lab::certificates::Certificates,
    };

    /// Ends TLS in front of a server that has none, as a load balancer does.
    async fn balancer(certificate: &Path, key: &Path, server: SocketAddr) -> SocketAddr {
        let chain = CertificateDer::pem_file_iter(certificate).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                chain.map(Result::unwrap).collect(),
                PrivateKeyDer::from_pem_file(key).unwrap(),
            );
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut secured) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut plain = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut secured, &mut plain).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_secured_address_is_talked_to_if_its_authority_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let files = Certificates::generate(folder.path()).unwrap();
        let server = tiny_server::start(Fault::None).await;
        let address = balancer(&files.certificate, &files.key, server).await;
        let options = Options::new(&format!("wss://{address}/ws")).guest("Ada");

        let trusting = options.clone().tls(&Tls::new(Some(&files.ca)).unwrap());
        let mut ada = Client::connect(&trusting).await.unwrap();
        let room = "lobby".parse().unwrap();
        ada.join(&room, JoinFrom::Newest(1)).await.unwrap();
        let sent = ada.say(&room, "hello").await.unwrap();
        assert_eq!(ada.take_events(&room, 1).await.unwrap()[0].seq, sent.seq);

        let stranger = options.clone().tls(&Tls::new(None).unwrap());
        let error = Client::connect(&stranger).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
        let without = Client::connect(&options).await.map(drop).unwrap_err();
        assert!(without.to_string().contains("needs TLS"), "{without}");
        let none = Tls::new(Some(&files.key)).map(drop).unwrap_err();
        assert!(format!("{none:#}").contains("no authority"), "{none:#}");
    }
}

//! docker-sync

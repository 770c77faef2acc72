"""From documents to ids, and from ids to windows."""

"""ResourceQuota: the kind, and the rules by which objects use a quota, for the API server and the controller alike."""

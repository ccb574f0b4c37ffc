"""One machine: its settings, its data folder, its processes, its certificates.

settings        the environment over a file over defaults, and what cannot go together
variables       the ``SAFELIGHT_`` variables of the environment: settings, and what is none
operator_files  text files that people write
data_folder     the folder that holds everything, and who may use it
backup_file     an installation in one file, and reading it back
processes       processes that end with the one that started them
service_manager what systemd and its like are told of this process
processors      how many there are for this process
memory          what is free goes back to the system at once
hosts           the host to listen on, as people write it
connections     this process's connections from clients, and which are too many
arrivals        whether an answer arrived, as far as the network tells
signing_key_file  the keys of download links: where they are, and making the first
certificates    where the chain that signs provenance lies, and making one of our own there
chain           making a certificate chain, and reading one
secrets         reading a secret that is named, not written
checks          things tried, and what was found
killpoints      points at which a test may have the process killed
"""

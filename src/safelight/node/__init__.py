"""One machine: its settings, its data folder, its processes, its certificates.

settings      the environment over a file over defaults
data_folder   the folder that holds everything, and who may use it
processes     processes that end with the one that started them
certificates  where the chain that signs provenance lies, and making one of our own there
chain         making a certificate chain, and reading one
secrets       reading a secret that is named, not written
killpoints    points at which a test may have the process killed
"""

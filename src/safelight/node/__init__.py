"""One machine: its settings, its data folder, its processes, its certificates.

settings      the environment over a file over defaults
data_folder   the folder that holds everything, and who may use it
processes     processes that end with the one that started them
certificates  the chain that signs provenance: where it lies, and making one of our own
"""

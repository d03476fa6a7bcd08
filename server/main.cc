#include "server/cli.h"

int main(int argc, char** argv) { return bettong::server::Main(argc, argv); }

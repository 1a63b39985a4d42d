// kube-api: a Kubernetes API server and the etcd it keeps its objects in, as one program; which of them it is says the
// name that it is called by. Nothing else of Kubernetes is needed to see objects change.
package main

import (
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	default:
		os.Stderr.WriteString("call me etcd or kube-apiserver\n")
		os.Exit(2)
	}
}
